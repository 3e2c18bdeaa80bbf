"""What a table of movement comes to: estimates and tests over facts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.measures.movement.entity_places import At
from interp_rc.records.nouns import TOLD_IN, Subset
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean

SHARE, PULL = "share of norm", "nat per share of norm"


def second_of(subset: Subset) -> str | None:
    """Which entity comes second in the documents of a subset; None where both do."""
    order = TOLD_IN[subset]
    return None if order is None else "description" if order == "forward" else "name"


def movement_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By subset, own less others of movement (own alone where there are no others); how much more
    the entity that comes second moves than the first, `pooled` over facts told in either order,
    so that names and descriptions weigh alike on both sides; and gradients before the first and
    after the last step, by order of the document."""
    found: dict[str, Estimate] = {}

    def put(name: str, values: Any, unit: str) -> None:
        numbers = np.asarray(values, dtype=float)
        numbers = numbers[~np.isnan(numbers)]
        if len(numbers):
            found[name] = bootstrap_mean(numbers, unit, seed=derive_seed(seed, name))

    keys = ["phase", "steps", "subset", "of", "place", "layer"]
    for (phase, steps, subset, of, place, layer), part in _groups(_moves(table), keys):
        name = f"movement.{_phase(phase, subset, steps)}.{of}.{At(place, layer).name}"
        alone = part.difference.isna().all()
        put(f"{name}.own" if alone else name, part.own if alone else part.difference, SHARE)
    for (phase, steps, place, layer), part in _groups(sides(table), [*keys[:2], *keys[4:]]):
        name = f"movement.{_phase(phase, 'pooled', steps)}.second_less_first"
        put(f"{name}.{At(place, layer).name}", part.second - part["first"], SHARE)
    pulls = table[table.quantity == "gradient"]
    pulls = pulls[pulls.steps.isin([0, pulls.steps.max()])]
    for (_, steps, subset, of, place, layer, order), part in _groups(pulls, [*keys, "order"]):
        name = f"movement.gradient.{subset}.{order}.{steps}.{of}.{At(place, layer).name}"
        put(name, part.own, PULL)
    return found


def _moves(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.quantity == "movement"]


def sides(table: pd.DataFrame) -> pd.DataFrame:
    """Movement of facts told in one order: own less others of the entity that comes `first` in
    their documents and of the one that comes `second`, one row a fact and place."""
    moves = _moves(table)
    second = moves.subset.map(second_of)
    moves = moves[second.notna() & moves.difference.notna()]
    side = np.where(moves.of == second[moves.index], "second", "first")
    keys = ["phase", "steps", "subset", "place", "layer", "fact"]
    ends = [
        moves[side == one].set_index(keys).difference.rename(one) for one in ("first", "second")
    ]
    return pd.concat(ends, axis=1).reset_index()


def _groups(table: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Null is a key like others, given as None."""
    for key, part in table.groupby(list(keys), sort=False, dropna=False):
        yield tuple(None if one is pd.NA or one != one else one for one in key), part


def _phase(phase: str, subset: str, steps: int | None) -> str:
    return f"{phase}.{subset}" if steps is None else f"{phase}.{subset}.{steps}"


def moved(table: pd.DataFrame) -> list[Test]:
    """Do told entities move otherwise than the others, and the second otherwise than the first?

    After the last step, and after finetuning: two-sided paired t over facts, Benjamini-Hochberg
    over all of a phase. One test for the two uses of a tied matrix, which moves as one.
    """
    found = []
    tied = bool(table.tied.any())
    for phase, part in _moves(table).groupby("phase", sort=False):
        last = part[part.steps.isna() | (part.steps == part.steps.max())]
        last = last[~(last.place == "output_rows")] if tied else last
        tests = [
            paired_t(
                rows.own.to_numpy(float),
                rows.others.to_numpy(float),
                name=f"movement.{_phase(str(phase), subset, steps)}.{of}.{At(place, layer).name}",
            )
            for (subset, steps, of, place, layer), rows in _groups(
                last[last.difference.notna()], ["subset", "steps", "of", "place", "layer"]
            )
        ]
        tests += [
            paired_t(
                rows.second.to_numpy(float),
                rows["first"].to_numpy(float),
                name=f"movement.{_phase(str(phase), 'pooled', steps)}.second_less_first."
                f"{At(place, layer).name}",
            )
            for (steps, place, layer), rows in _groups(sides(last), ["steps", "place", "layer"])
        ]
        found += benjamini_hochberg(tests)
    return found
