"""One store or two: what erasing one order costs the other, over what it costs itself."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.measures.erasure.asking import Role
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.ratios import UNIT, ratio_of_means

Stores = Literal["one store", "two stores", "inconclusive"]
HALF = 0.5
"""One store loses as much in both orders, two lose nothing of each other: halfway."""

PerFact = Float[np.ndarray, " fact"]


def damages(rows: pd.DataFrame) -> dict[Role, PerFact]:
    """Of the table's rows for one method and order: by role, what each fact lost [nat], `own`,
    `cross` and `erasing` over what erasing it cost other facts in that order."""
    wide = rows.pivot(index="fact", columns="role", values="damage")
    floors = {"own": "own_floor", "cross": "cross_floor", "erasing": "own_floor"}
    found: dict[Role, PerFact] = {}
    for role in floors:
        found[role] = (wide[role] - wide[floors[role]]).to_numpy(float)  # type: ignore[index]
    for floor in ("own_floor", "cross_floor"):
        found[floor] = wide[floor].to_numpy(float)
    return found


def ratio(rows: pd.DataFrame, seed: int) -> Estimate:
    """What the other order lost over what the erased one lost in other templates, both over their
    floors. No value where the erased order lost nothing for certain, or where the other had
    nothing to lose (a mean lead whose interval does not lie above zero)."""
    found = damages(rows)
    lead = rows[rows.role == "cross"].lead.to_numpy(float)
    if not _above_zero(lead, seed):
        return Estimate(None, None, None, lead.size, UNIT)
    return ratio_of_means(found["cross"], found["own"], seed=seed)


def control(rows: pd.DataFrame, seed: int) -> Estimate:
    """The same ratio for what is one store beyond doubt, one order asked in other words: what it
    lost in templates that it was not erased in, over what it lost where it was."""
    found = damages(rows)
    return ratio_of_means(found["own"], found["erasing"], seed=seed)


def _above_zero(values: PerFact, seed: int) -> bool:
    mean = bootstrap_mean(values, "nat", seed=seed)
    return (mean.low if mean.low is not None else values.mean()) > 0


def verdict(lost: Estimate, checked: Estimate) -> Stores:
    """`one store` where the whole interval of the ratio lies above a half, `two stores` where it
    lies below. Neither where what is one store beyond doubt does not look like one: unless the
    whole interval of the control lies above a half. Facts that all have the same ratio give no
    interval; their ratio then stands for it."""
    least, (low, high) = _limits(checked)[0], _limits(lost)
    if least is None or least <= HALF:
        return "inconclusive"
    if low is not None and low > HALF:
        return "one store"
    if high is not None and high < HALF:
        return "two stores"
    return "inconclusive"


def _limits(found: Estimate) -> tuple[float | None, float | None]:
    return (found.value, found.value) if found.low is None else (found.low, found.high)


def together(some: Sequence[Stores]) -> Stores:
    """What more than half of those say that say anything, if two do. A single way of erasing can be
    misled: a gradient also suppresses an answer through neurons that stored nothing of it."""
    votes = [one for one in some if one != "inconclusive"]
    counts: dict[Stores, int] = {one: votes.count(one) for one in votes}
    for one, count in counts.items():
        if len(votes) > 1 and 2 * count > len(votes):
            return one
    return "inconclusive"
