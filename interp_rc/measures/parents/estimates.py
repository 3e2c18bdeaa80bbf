"""Rates of parents and children named, with intervals over children, and their difference.

Names: ``parents.<scope>.<quantity>[.<rule>].<forward | backward | difference>``, where a scope is a
wording, all of them (`pooled`), or mothers or fathers in all of them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from interp_rc.evaluation.parents.clusters import Clusters
from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.rates import POINTS
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.intervals import RATE

BETTER = "same_person"
"""The rule that looks for people rather than letters."""
POOLED = "pooled"
TYPES = {"mother": "mothers", "father": "fathers"}
CELL = ["child", "fact", "wording"]
Put = Callable[[str, pd.Series, str], None]


def scopes(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of every wording, and of all."""
    for wording, rows in table.groupby("wording", sort=False):
        yield str(wording), rows
    yield POOLED, table


def estimates(
    replies: pd.DataFrame, log_probs: pd.DataFrame | None, removed: int, seed: int
) -> dict[str, Estimate]:
    """All numbers; `removed` pairs were left out because they are in the examples."""
    children = replies.child.nunique()
    found = {
        "parents.pairs": Estimate(replies.fact.nunique(), None, None, children, "pairs"),
        "parents.removed": Estimate(removed, None, None, children, "pairs"),
    }

    def put(name: str, values: pd.Series, unit: str = RATE) -> None:
        """`values` are indexed by child, fact and wording."""
        full = f"parents.{name}"
        clusters = Clusters(
            list(values.index.get_level_values("child")), derive_seed(seed, "bootstrap", full)
        )
        found[full] = clusters.mean(values.to_numpy(dtype=float), unit)

    for scope, rows in scopes(replies):
        _replies(put, scope, rows)
    for kind, scope in TYPES.items():
        rows = replies[replies.parent_type == kind]
        if len(rows):
            _orders(put, f"{scope}.share.{BETTER}", _share(rows[rows["sample"].notna()], BETTER))
    drawn = replies[replies["sample"].notna()]
    for rule in RULES:
        if rule != BETTER:
            more = 100 * (_share(drawn, BETTER) - _share(drawn, rule))
            for order in more:
                put(f"{POOLED}.added_to.{rule}.{order}", more[order], POINTS)
    if log_probs is not None:
        for scope, rows in scopes(log_probs):
            nats = rows.set_index([*CELL, "order"]).log_prob.unstack("order")
            _orders(put, f"{scope}.probability", nats.apply(np.exp))
            for order in nats:
                put(f"{scope}.log_prob.{order}", nats[order], "nat")
    return found


def _replies(put: Put, scope: str, rows: pd.DataFrame) -> None:
    drawn, greedy = rows[rows["sample"].notna()], rows[rows["sample"].isna()]
    for rule in RULES:
        _orders(put, f"{scope}.share.{rule}", _share(drawn, rule))
        for quantity, values in (("any", _any(drawn, rule)), ("greedy", _share(greedy, rule))):
            for order in values:
                put(f"{scope}.{quantity}.{rule}.{order}", values[order], RATE)
    for quantity in ("unknown", "other_child"):
        values = _share(drawn, quantity)
        for order in values if quantity == "unknown" else ["backward"]:
            put(f"{scope}.{quantity}.{order}", values[order], RATE)


def _orders(put: Put, name: str, values: pd.DataFrame) -> None:
    """Both orders, and the first less the second in percentage points."""
    for order in ("forward", "backward"):
        put(f"{name}.{order}", values[order], RATE)
    put(f"{name}.difference", 100 * (values.forward - values.backward), POINTS)


def _share(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """By child, fact and wording (rows) and order (columns): the share of replies."""
    return rows.groupby([*CELL, "order"])[column].mean().unstack("order").astype(float)


def _any(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows.groupby([*CELL, "order"])[column].any().unstack("order").astype(float)


def tests(replies: pd.DataFrame, seed: int) -> list[Test]:
    """Is the share of samples the same in both orders? Signs of children flipped; Holm over the
    wordings; all wordings together stand alone."""
    drawn = replies[replies["sample"].notna()]
    found = {}
    for scope, rows in scopes(drawn):
        share = _share(rows, BETTER)
        name = f"parents.{scope}.share.{BETTER}.difference"
        children = list(share.index.get_level_values("child"))
        clusters = Clusters(children, derive_seed(seed, "sign_flip", name))
        differences = 100 * (share.forward - share.backward)
        found[scope] = clusters.test(differences.to_numpy(), name)
    pooled = found.pop(POOLED)
    kept = holm([test for test in found.values() if test is not None])
    return [*kept, *([pooled] if pooled else [])]
