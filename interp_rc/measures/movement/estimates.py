"""What a table of movement comes to: estimates and tests over facts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.measures.movement.entity_places import At
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import TOLD_IN, Group
from interp_rc.records.numbers import Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean

SHARE, PULL = "share of norm", "nat per share of norm"


def second_of(group: Group) -> str | None:
    """Which entity comes second in the documents of a group; None where both do."""
    order = TOLD_IN[group]
    return None if order is None else "description" if order == "forward" else "name"


def movement_estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """By group, own less others of movement (own alone where there are no others); how much more
    the entity that comes second moves than the first, `pooled` over facts told in either order,
    so that subjects and objects weigh alike on both sides; and gradients before the first and
    after the last step, by order of the document."""
    found = Estimates("movement")

    def add(values: Any, unit: str, **of: Any) -> None:
        numbers = np.asarray(values, dtype=float)
        numbers = numbers[~np.isnan(numbers)]
        if len(numbers):
            use = found.name(**of).replace("step_", "")
            found.add(bootstrap_mean(numbers, unit, seed=derive_seed(seed, use)), **of)

    keys = ["phase", "steps", "group", "of", "place", "layer"]
    for (phase, steps, group, role, place, layer), part in _groups(_moves(table), keys):
        of = {"phase": phase, "group": group, "step": steps, "role": role}
        at = At(place, layer).axes
        if part.difference.isna().all():
            add(part.own, SHARE, **of, **at, quantity="own")
        else:
            add(part.difference, SHARE, **of, **at)
    for (phase, steps, place, layer), part in _groups(sides(table), [*keys[:2], *keys[4:]]):
        of = {"phase": phase, "group": "pooled", "step": steps, "quantity": "second_less_first"}
        add(part.second - part["first"], SHARE, **of, **At(place, layer).axes)
    pulls = table[table.quantity == "gradient"]
    pulls = pulls[pulls.steps.isin([0, pulls.steps.max()])]
    for (_, steps, group, role, place, layer, order), part in _groups(pulls, [*keys, "order"]):
        of = {"phase": "gradient", "group": group, "order": order, "step": steps, "role": role}
        add(part.own, PULL, **of, **At(place, layer).axes)
    return found


def _moves(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.quantity == "movement"]


def sides(table: pd.DataFrame) -> pd.DataFrame:
    """Movement of facts told in one order: own less others of the entity that comes `first` in
    their documents and of the one that comes `second`, one row a fact and place."""
    moves = _moves(table)
    second = moves.group.map(second_of)
    moves = moves[second.notna() & moves.difference.notna()]
    side = np.where(moves.of == second[moves.index], "second", "first")
    keys = ["phase", "steps", "group", "place", "layer", "fact"]
    ends = [
        moves[side == one].set_index(keys).difference.rename(one) for one in ("first", "second")
    ]
    return pd.concat(ends, axis=1).reset_index()


def _groups(table: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Null is a key like others, given as None."""
    for key, part in table.groupby(list(keys), sort=False, dropna=False):
        yield tuple(None if one is pd.NA or one != one else one for one in key), part


def _phase(phase: str, group: str, steps: int | None) -> str:
    return f"{phase}.{group}" if steps is None else f"{phase}.{group}.step_{steps}"


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
                name=f"movement.{_phase(str(phase), group, steps)}.{of}.{At(place, layer).name}",
            )
            for (group, steps, of, place, layer), rows in _groups(
                last[last.difference.notna()], ["group", "steps", "of", "place", "layer"]
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
