"""At which layer the answer appears, and which heads and MLPs write it."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from interp_rc.evaluation.learnt_contrasts import (
    check_asked,
    learnt_contrasts,
    paired,
    with_conditions,
)
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import TOLD_ONLY
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.patching.discoveries import discoveries, is_discovery
from interp_rc.tools.readout.logit_lens import logit_lens

NAME = "lens"
LENS, ATTRIBUTION = "mechanism/logit_lens", "mechanism/logit_attribution"
WRITERS = ("z", "mlp_out")
CHOSEN = 3  # writers an order
NO_HEAD = -1
STAGES = ("resid_pre", "resid_mid", "resid_post")
LIKELIEST = 0.5  # of the prompts


class Lens(Measure[Loaded]):
    """Logit lens and direct logit attribution on learnt facts, in both orders.

    The foil is the answer of another learnt fact of the subset. Facts are paired, and both facts of
    a pair are asked about: what makes one answer likelier whatever is asked falls out of the pair,
    which is the unit of every interval and test. Facts told in the other order are the control.
    Each fact but an odd one out is measured in `templates` of the templates that did not select it.
    """

    kind: Literal["lens"] = "lens"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    templates: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 2

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        contrasts = paired(learnt_contrasts(facts, context.answers, self.templates, seed))
        if not contrasts:
            return Measured()
        lens = over_foil(with_conditions(logit_lens(model, contrasts), contrasts))
        parts = with_conditions(logit_attribution(model, contrasts), contrasts)
        context.write(LENS, lens)
        context.write(ATTRIBUTION, parts)
        estimates = lens_estimates(lens, seed) | part_estimates(parts, seed)
        tests = lens_tests(lens, model.model.dtype)
        return Measured(
            estimates=estimates | writers(parts, context.seed) | stages(lens, estimates, tests),
            tests=tests + part_tests(parts),
        )


def over_foil(table: pd.DataFrame) -> pd.DataFrame:
    """With `over_foil`, what the target has over the foil [nat]: at the answer as a whole; at the
    source, where nothing is predicted and lengths should not matter, a token."""
    tokens = np.where(table["where"] == "answer", 1, table.tokens)
    foil_tokens = np.where(table["where"] == "answer", 1, table.foil_tokens.astype(float))
    return table.assign(over_foil=table.log_prob / tokens - table.foil_log_prob / foil_tokens)


def lens_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By order, subset, place and stage; `first` is the share of prompts in which each of the
    target's tokens is the likeliest."""
    found = {}
    table = table.assign(first=(table["rank"] == 1).astype(float))
    asked = {"answer": ("log_prob", "over_foil", "first"), "source_last": ("over_foil",)}
    keys = ["order", "subset", "where", "site", "layer"]
    for key, part in table.groupby(keys, sort=False):
        for column in asked[str(key[2])]:
            name = ".".join(["logit_lens", *map(str, key), column])
            unit = "fraction" if column == "first" else "nat"
            found[name] = _mean(part, column, unit, seed, name)
    return found


def part_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By order, subset, what the target is compared with, and part; heads over the foil only."""
    found = {}
    kept = table[(table.site != "residual") & ((table.site != "z") | (table.against == "foil"))]
    keys = ["order", "subset", "against", "site", "layer", "head"]
    for key, part in kept.groupby(keys, sort=False, dropna=False):
        name = ".".join(["logit_attribution", *map(str, pd.Series(key).dropna())])
        found[name] = _mean(part, "effect", "logit", seed, name)
    left = table[table.site == "residual"].effect.abs().max()
    facts = table.fact.nunique()
    return found | {"logit_attribution.residual": Estimate(left, None, None, facts, "logit")}


def writers(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The heads and MLPs that write most of the first token that differs, on facts told in the
    order that they are asked in: what each was chosen by in one template, and what it writes in the
    others, by subset."""
    found = {}
    could = table[(table.against == "foil") & table.site.isin(WRITERS)]
    for order, subset in TOLD_ONLY.items():
        rows = could[could.order == order].fillna({"head": NO_HEAD})
        told = rows.subset == subset
        if not told.any():
            continue
        use = derive_seed(seed, "report", "writer", order)
        keys = ["site", "layer", "head"]
        best = choose_places(rows, "effect", keys, "logit", among=told, count=CHOSEN)
        for rank, (place, by, elsewhere) in enumerate(best, 1):
            name = f"logit_attribution.{order}.chosen_{rank}"
            found[".".join([name, *(str(word) for word in place if word != NO_HEAD)])] = by
            for of, part in elsewhere.groupby("subset"):
                per_fact = part.groupby("fact").effect.mean().to_numpy(float)
                estimate = bootstrap_mean(per_fact, "logit", seed=use)
                found[f"{name}_elsewhere.{of}"] = estimate
    return found


def stages(
    table: pd.DataFrame, estimates: dict[str, Estimate], tests: list[Test]
) -> dict[str, Estimate]:
    """Of facts told in the order that they are asked in: the first stage from which on all tell the
    answer from the foil, and the first after which it is the likeliest in most prompts, with what
    was found there; absent where there is none."""
    found = {}
    discovered = {test.name for test in tests if is_discovery(test)}
    for order, subset in TOLD_ONLY.items():
        start = f"logit_lens.{order}.{subset}"
        rows = table[
            (table.order == order) & (table.subset == subset) & (table["where"] == "answer")
        ]
        turn = sorted(set(zip(rows.layer, map(STAGES.index, rows.site), strict=True)))
        names = [f"{STAGES[site]}.{layer}" for layer, site in turn]
        ahead = {name: estimates[f"{start}.answer.{name}.over_foil"] for name in names}
        first = {name: estimates[f"{start}.answer.{name}.first"] for name in names}
        apart = [
            f"{start}.{name}.answer" in discovered and (ahead[name].value or 0) > 0
            for name in names
        ]
        after = next((name for n, name in enumerate(names) if all(apart[n:])), None)
        likely = next((name for name in names if (first[name].value or 0) > LIKELIEST), None)
        if after is not None:
            found[f"logit_lens.{order}.ahead_from.{after}.over_foil"] = ahead[after]
        if likely is not None:
            found[f"logit_lens.{order}.likeliest_after.{likely}.first"] = first[likely]
    return found


def _mean(part: pd.DataFrame, column: str, unit: str, seed: int, name: str) -> Estimate:
    values = part.groupby("fact")[column].mean().to_numpy(float)
    return bootstrap_mean(values, unit, seed=derive_seed(seed, name))


def lens_tests(table: pd.DataFrame, dtype: torch.dtype) -> list[Test]:
    """At which stages is the answer told from the foil? Benjamini-Hochberg, by order and subset."""
    floor = 10 * torch.finfo(dtype).eps * float(table.log_prob.abs().max())
    answer = table[table["where"] == "answer"].assign(structural_zero=False)
    answer["effect"] = answer.over_foil
    return [
        test
        for (order, subset), part in answer.groupby(["order", "subset"], sort=False)
        for test in discoveries(part, floor, f"logit_lens.{order}.{subset}")
    ]


def part_tests(table: pd.DataFrame) -> list[Test]:
    """Which heads and MLPs write the answer rather than the foil? Benjamini-Hochberg likewise."""
    rows = table[(table.against == "foil") & table.site.isin(WRITERS)]
    heads = "head_" + rows["head"].astype(str)
    rows = rows.assign(where=heads.where(rows.site == "z", "answer"), structural_zero=False)
    floor = float(table[table.site == "residual"].effect.abs().max())
    return [
        test
        for (order, subset), part in rows.groupby(["order", "subset"], sort=False)
        for test in discoveries(part, floor, f"logit_attribution.{order}.{subset}")
    ]
