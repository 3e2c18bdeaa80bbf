"""Estimates and long-form tables of what an encoder forgot."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.measures.symmetry.entailment_head import READINGS, Reading
from interp_rc.measures.symmetry.estimates import NAME
from interp_rc.measures.symmetry.forgetting import Forgetting
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import RATE, bootstrap_mean
from interp_rc.stats.rank_correlation import spearman, spearman_change

POINT = "percentage point"
HEADS = ("kept", "refitted")
PUBLISHED: Mapping[str, float] = MappingProxyType(
    {"label_embeddings": 5.8, "nearest": 7.7, "joint_nearest": 21.5, "head": 11.2}
)
"""Points of accuracy on MNLI that a finetuned RoBERTa lost, by method: for the comparison with
`….sentences.kept.lost` or, for methods that read both texts together, `….together.kept.lost`. Other
encoder, other head and other set, so of one size at best."""
PerItem = Float[np.ndarray, " item"]


def forgetting_estimates(found: Mapping[str, PerItem], method: str, seed: int) -> Estimates:
    """From what `Forgetting.measure` gives, by method and reading:

    - `accuracy` before, and after with the head kept or refitted (fractions);
    - what is `lost` with either (percentage points, before less after, paired);
    - of similarity Spearman's correlation of cosine and grade, before and after, and its `change`.

    Intervals are over items of these sets, with one encoder: they say nothing about others.
    """
    made = Estimates(NAME)

    def put(estimate: Callable[[int], Estimate], **of: str) -> None:
        of = {"part": "forgetting", "method": method} | of
        made.add(estimate(derive_seed(seed, "bootstrap", made.name(**of))), **of)

    def put_mean(values: PerItem, unit: str, **of: str) -> None:
        put(lambda use: bootstrap_mean(values, unit, seed=use), **of)

    for reading in readings_in(found):
        before = found[f"{reading}.before"]
        put_mean(before, RATE, reading=reading, when="before", quantity="accuracy")
        for head in HEADS:
            after, of = found[f"{reading}.{head}"], {"reading": reading, "when": head}
            put_mean(after, RATE, **of, quantity="accuracy")
            put_mean(100 * (before - after), POINT, **of, quantity="lost")
    first, second, grade = (found[f"similarity.{name}"] for name in ("before", "after", "grade"))
    of = {"reading": "similarity"}
    put(lambda use: spearman(first, grade, seed=use), **of, when="before")
    put(lambda use: spearman(second, grade, seed=use), **of, when="after")
    put(lambda use: spearman_change(first, second, grade, seed=use), **of, quantity="change")
    return made


def readings_in(found: Mapping[str, PerItem]) -> list[Reading]:
    """The readings that were measured."""
    return [reading for reading in READINGS if f"{reading}.before" in found]


def forgetting_rows(
    given: Forgetting, found: Mapping[str, PerItem], method: str, seed: int
) -> pd.DataFrame:
    """A row per test pair, reading and head: method, seed, item, phenomenon, label, reading, head,
    before and after (whether the label was read rightly)."""
    rows: list[dict[str, Any]] = [
        {
            "method": method,
            "seed": seed,
            "item": item,
            "phenomenon": pair.phenomenon,
            "label": pair.label,
            "reading": reading,
            "head": head,
            "before": bool(found[f"{reading}.before"][item]),
            "after": bool(found[f"{reading}.{head}"][item]),
        }
        for reading in readings_in(found)
        for head in HEADS
        for item, pair in enumerate(given.test)
    ]
    return pd.DataFrame(rows)


def similarity_rows(found: Mapping[str, PerItem], method: str, seed: int) -> pd.DataFrame:
    """A row per pair of sentences: method, seed, item, grade, and the cosine before and after."""
    names = ("grade", "before", "after")
    table = pd.DataFrame({name: found[f"similarity.{name}"] for name in names})
    table.insert(0, "method", method)
    table.insert(1, "seed", seed)
    table.insert(2, "item", np.arange(len(table)))
    return table.astype({"grade": int})
