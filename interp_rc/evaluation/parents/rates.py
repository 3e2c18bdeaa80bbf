"""How often a model names the parent of a child, and the child of a parent.

Of the Reversal Curse paper's Experiment 2 (Berglund et al. 2023, arXiv:2309.12288, section 2.2).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from interp_rc.evaluation.parents.clusters import Clusters
from interp_rc.facts.parent_tables import TYPES, Kind, Named, ParentTable
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import RATE

Counted = Literal["all", "deduplicated", "joined"]
COUNTED: tuple[Counted, ...] = get_args(Counted)
JOINED = 5
"""Tables that the paper joined on child, parent and type: each of the m rows of a pair met every
combination of the others' and came m^4 times then, which makes 1,573 of 1,513 rows with two pairs
that came twice."""
POINTS = "percentage points"
CONDITIONED = (
    "its pairs are those whose parent the same model had named, so that its parent rate is 100 % "
    "by construction: the two rates have different denominators"
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of some rows of a table. `parent` is None where pairs were chosen by it; `any_*` are the
    shares of pairs with one right response at least, where there are samples."""

    model: str
    kind: Kind
    counted: Counted
    parent_type: str
    pairs: int
    parent: Estimate | None
    child: Estimate
    difference: Estimate | None
    test: Test | None
    any_parent: Estimate | None
    any_child: Estimate | None


def parent_rates(table: ParentTable, seed: int = 0) -> list[Rates]:
    """For all rows, without repeated ones, and as the paper joined them; by type of parent.

    Mother and father of a child are not independent: intervals and the paired test (signs flipped,
    of the differences of all pairs of a child) are over children.
    """
    return [
        _rates(table, counted, which, seed)
        for counted in COUNTED
        for which in ("all", *TYPES)
        if which == "all" or any(row.parent_type == which for row in table.rows)
    ]


def _rates(table: ParentTable, counted: Counted, which: str, seed: int) -> Rates:
    chosen = [row for row in table.rows if which in ("all", row.parent_type)]
    rows, weights = _weighed(chosen, counted)
    name = f"{table.model}.{counted}.{which}"
    clusters = Clusters([row.child for row in rows], derive_seed(seed, name), weights)

    def mean(value: Callable[[Named], float], unit: str = RATE) -> Estimate:
        return clusters.mean(np.array([value(row) for row in rows]), unit)

    sampled, asked = table.kind == "share", table.kind != "found"
    return Rates(
        model=table.model,
        kind=table.kind,
        counted=counted,
        parent_type=which,
        pairs=int(sum(weights)),
        parent=mean(_by_child) if asked else None,
        child=mean(lambda row: row.by_parent),
        difference=mean(_difference, POINTS) if asked else None,
        test=clusters.test(np.array([_difference(row) for row in rows]), name) if asked else None,
        any_parent=mean(lambda row: float(_by_child(row) > 0)) if sampled else None,
        any_child=mean(lambda row: float(row.by_parent > 0)) if sampled else None,
    )


def _by_child(row: Named) -> float:
    assert row.by_child is not None
    return row.by_child


def _difference(row: Named) -> float:
    return 100 * (_by_child(row) - row.by_parent)


def _weighed(rows: Sequence[Named], counted: Counted) -> tuple[Sequence[Named], list[int]]:
    if counted == "all":
        return rows, [1] * len(rows)
    times = Counter(row.key for row in rows)
    if counted == "joined":
        return rows, [times[row.key] ** (JOINED - 1) for row in rows]
    once = list({row.key: row for row in rows}.values())
    return once, [1] * len(once)


def rates_table(rates: Sequence[Rates]) -> pd.DataFrame:
    """One row a model, way of counting and type: percent, with interval ends, and p."""
    return pd.DataFrame([_flat(one) for one in rates])


def _flat(one: Rates) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": one.model,
        "kind": one.kind,
        "counted": one.counted,
        "parent_type": one.parent_type,
        "pairs": one.pairs,
        "children": one.child.n,
    }
    for name in ("parent", "child", "difference", "any_parent", "any_child"):
        found: Estimate | None = getattr(one, name)
        scale = 1 if name == "difference" else 100
        for end in ("value", "low", "high"):
            value: float | None = getattr(found, end, None)
            label = name if end == "value" else f"{name}_{end}"
            row[label] = None if value is None else scale * value
    row["p"] = one.test.p if one.test else None
    return row


@dataclass(frozen=True, slots=True)
class Scored:
    """A table under a name of its own, and its rates."""

    name: str
    table: ParentTable
    rates: list[Rates]

    @property
    def whole(self) -> Rates:
        """Of all rows, mothers and fathers."""
        return next(one for one in self.rates if (one.counted, one.parent_type) == ("all", "all"))


def scored_table(scored: Sequence[Scored]) -> pd.DataFrame:
    """The rates of several tables, with the file that each is of."""
    tables = [rates_table(one.rates).assign(model=one.name) for one in scored]
    for one, table in zip(scored, tables, strict=True):
        table.insert(0, "file", one.table.path.name)
    whole = pd.concat(tables, ignore_index=True)
    numbers = whole.columns[list(whole.columns).index("parent") :]
    return whole.astype(dict.fromkeys(numbers, float))
