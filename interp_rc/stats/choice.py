"""Places chosen in one template and measured in the others: a choice does not flatter itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from interp_rc.records.numbers import Estimate


class Chosen(NamedTuple):
    """`place` is a value a key; `by` the mean that it was chosen by, which has no interval because
    it is the largest of many; `elsewhere` the rows that measure the place."""

    place: tuple[Any, ...]
    by: Estimate
    elsewhere: pd.DataFrame


def choose_places(
    rows: pd.DataFrame,
    value: str,
    keys: Sequence[str],
    unit: str,
    *,
    among: "pd.Series[bool] | None" = None,
    count: int = 1,
) -> list[Chosen]:
    """The `count` places, each a combination of `keys`, with the highest mean of the column
    `value`, the highest first; of equal ones the first in the order of the keys.

    Chosen in the template of the first row, `among` some of the rows (default: all), and measured
    by all rows of the other templates; by those of the same, if there is one only. `rows` has the
    columns `template` and `fact` besides; `by` counts the facts that chose.
    """
    first = rows.template == rows.template.iloc[0]
    choosing = rows[first if among is None else first & among]
    by_place = choosing.groupby(list(keys))
    means = by_place[value].mean().sort_values(ascending=False, kind="stable")
    facts = by_place.fact.nunique()
    others = rows if first.all() else rows[~first]
    found = []
    for index, mean in means.head(count).items():
        place = index if isinstance(index, tuple) else (index,)
        here = others[(others[list(keys)] == list(place)).all(axis=1)]
        by = Estimate(float(mean), None, None, int(facts[index]), unit)
        found.append(Chosen(place, by, here))
    return found
