"""Tests of the two questions that shortcuts make: do answers reach relations that were left out,
and do they mind who a hypothesis is about?"""

import numpy as np
import pandas as pd

from interp_rc.measures.symmetry.estimates import CLASSES, by_class
from interp_rc.measures.symmetry.plan import SHORTCUTS
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Test, Verdict
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.two_samples import two_sample_permutation

CHANCE, MARGIN = 0.5, 0.1
LEVEL = 0.05


def tests(table: pd.DataFrame, seed: int) -> list[Test]:
    """Of judges after training on two labels, whether symmetric relations' pairs are taken for
    entailed more often than the others': ``symmetry.left_out.<label set>.<entities>.<variant>
    .above_chance`` of relations left out, and ``symmetry.main.….wrong_entity.follows_class`` where
    the hypothesis is about somebody else (all draws together).

    Relations are dealt to the classes anew, one-sided. Holm over variants and entities in each of
    the two. Leaving out a relation leaves its class with fewer relations, though with as many
    pairs: a judge that knows nothing may lean to the other class, and the test is on the safe
    side.
    """
    two = table[
        (table.label_set == "two_labels") & (table.when == "after") & ~table.method.isin(SHORTCUTS)
    ]
    questions = {
        "above_chance": two[two.protocol == "left_out"],
        "wrong_entity.follows_class": two[(two.protocol == "main") & (two.test == "wrong_entity")],
    }
    found: list[Test] = []
    for question, rows in questions.items():
        by_variant = rows.groupby(["protocol", "label_set", "entities", "variant"], sort=False)
        each = [
            _classes_differ(f"symmetry.{'.'.join(map(str, key))}.{question}", some, seed)
            for key, some in by_variant
        ]
        found += holm([test for test in each if test is not None])
    return found


def _classes_differ(name: str, rows: pd.DataFrame, seed: int) -> Test | None:
    """None where a class has fewer than two relations."""
    right = by_class(rows)
    if any(len(right.get(one, ())) < 2 for one in CLASSES):
        return None
    entailed: tuple[np.ndarray, np.ndarray] = (right["symmetric"], 1 - right["antisymmetric"])
    return two_sample_permutation(
        *entailed,
        name=name,
        seed=derive_seed(seed, "permutation", name),
        alternative="greater",
    )


def verdict(found: Estimates, tests: list[Test]) -> list[Verdict]:
    """Of relations left out, names: supported if every method is above chance and gets more than
    the relation's words alone do, refuted if every one is less than `MARGIN` above chance with its
    whole interval. Neither where a method is not above chance, with its whole interval, about the
    relations that it was trained on: what learnt nothing there says nothing of the others."""
    names = {"part": "left_out", "label_set": "two_labels", "entities": "names"}
    by_name = {test.name: test for test in tests}
    above = {
        method: by_name[name]
        for method in found.where(**names).each("method")
        if (name := f"{found.name(**names, method=method)}.above_chance") in by_name
    }
    if not above:
        return []
    rates = {method: found.of(**names, method=method, when="after") for method in above}
    known = [method for method in above if _below(above[method].p_adjusted, LEVEL)]
    alone = found.find(**names, method="relation_only", when="after")
    more = [one for one in known if alone is None or _below(alone.value, rates[one].value)]
    low = [method for method, one in rates.items() if _below(one.high, CHANCE + MARGIN)]
    trained = names | {"part": "main", "role": "same", "when": "after"}
    told = {method: found.find(**trained, method=method) for method in above}
    unlearnt = [
        method for method, one in told.items() if one is None or not _below(CHANCE, one.low)
    ]
    outcome = (
        "inconclusive" if unlearnt else "supported" if len(more) == len(above)
        else "refuted" if len(low) == len(above) else "inconclusive"
    )  # fmt: skip
    control = "relations trained on: " + "; ".join(
        f"{method.replace('_', ' ')} {one.text() if one else 'not asked'}"
        for method, one in told.items()
    )
    control += "; regression on the relation's words alone, of the encoder as it came"
    if alone is not None:
        control += f": {alone.text()}; more than that: {len(more)} of {len(above)} methods"
    said = "; ".join(f"{method.replace('_', ' ')} {one.text()}" for method, one in rates.items())
    return [
        Verdict(
            hypothesis="knows_relations_left_out",
            verdict=outcome,  # type: ignore[arg-type]
            reason=_failed(unlearnt)
            + f"Right about relations left out (chance is 50 %): {said}. Above chance for "
            f"{len(known)} of {len(above)} methods (p adjusted below {LEVEL:g}); less than "
            f"{100 * MARGIN:g} points above it, with the whole interval, for {len(low)}.",
            control=control,
        )
    ]


def _failed(unlearnt: list[str]) -> str:
    if not unlearnt:
        return ""
    named = ", ".join(method.replace("_", " ") for method in unlearnt)
    return f"Not above chance about the relations trained on, so that nothing follows: {named}. "


def _below(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit
