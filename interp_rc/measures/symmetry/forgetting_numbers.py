"""Estimates and long-form tables of what an encoder forgot."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.measures.symmetry.entailment_head import READINGS, Reading
from interp_rc.measures.symmetry.forgetting import Forgetting
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


def forgetting_estimates(
    found: Mapping[str, PerItem], method: str, seed: int
) -> dict[str, Estimate]:
    """From what `Forgetting.measure` gives, under ``symmetry.forgetting.<method>``:

    - ``.<reading>.before.accuracy`` and ``.<reading>.<head>.accuracy`` (fractions);
    - ``.<reading>.<head>.lost`` (percentage points, before less after, paired);
    - ``.similarity.before``, ``.after`` (Spearman's correlation of cosine and grade), ``.change``.

    Intervals are over items of these sets, with one encoder: they say nothing about others.
    """
    made: dict[str, Estimate] = {}
    start = f"symmetry.forgetting.{method}"

    def use(name: str) -> int:
        return derive_seed(seed, "bootstrap", name)

    def put(name: str, values: PerItem, unit: str) -> None:
        made[f"{start}.{name}"] = bootstrap_mean(values, unit, seed=use(f"{start}.{name}"))

    for reading in readings_in(found):
        before = found[f"{reading}.before"]
        put(f"{reading}.before.accuracy", before, RATE)
        for head in HEADS:
            after = found[f"{reading}.{head}"]
            put(f"{reading}.{head}.accuracy", after, RATE)
            put(f"{reading}.{head}.lost", 100 * (before - after), POINT)
    first, second, grade = (found[f"similarity.{name}"] for name in ("before", "after", "grade"))
    name = f"{start}.similarity"
    made[f"{name}.before"] = spearman(first, grade, seed=use(f"{name}.before"))
    made[f"{name}.after"] = spearman(second, grade, seed=use(f"{name}.after"))
    made[f"{name}.change"] = spearman_change(first, second, grade, seed=use(f"{name}.change"))
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
