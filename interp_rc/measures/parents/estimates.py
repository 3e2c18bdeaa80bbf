"""Rates of parents and children named, with intervals over children, and their difference.

By wording, in all of them (`pooled`), and of mothers or fathers in all of them.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from interp_rc.evaluation.parents.clusters import Clusters
from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.rates import POINTS
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.intervals import RATE

BETTER = "same_person"
"""The rule that looks for people rather than letters."""
POOLED = "pooled"
TYPES = {"mother": "mothers", "father": "fathers"}
CELL = ["child", "fact", "wording"]
SHARE = {"quantity": "share", "rule": BETTER}


def wordings(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of every wording, and of all."""
    for wording, rows in table.groupby("wording", sort=False):
        yield str(wording), rows
    yield POOLED, table


def estimates(
    replies: pd.DataFrame, log_probs: pd.DataFrame | None, removed: int, seed: int
) -> Estimates:
    """All numbers; `removed` pairs were left out because they are in the examples."""
    found, children = Estimates("parents"), replies.child.nunique()
    for quantity, count in (("pairs", replies.fact.nunique()), ("removed", removed)):
        found.add(Estimate(count, None, None, children, "pairs"), quantity=quantity)

    def put(values: pd.DataFrame, unit: str = RATE, **of: str) -> None:
        """`values` by child, fact and wording (rows) and order (columns)."""
        labels = list(values.index.get_level_values("child"))
        for order in values:
            use = derive_seed(seed, "bootstrap", found.name(**of, order=order))
            mean = Clusters(labels, use).mean(values[order].to_numpy(dtype=float), unit)
            found.add(mean, **of, order=order)

    def put_both(values: pd.DataFrame, **of: str) -> None:
        """And the first order less the second in percentage points."""
        put(values, **of)
        put(_difference(values).to_frame("difference"), POINTS, **of)

    for wording, rows in wordings(replies):
        drawn, greedy = _drawn(rows), rows[rows["sample"].isna()]
        for rule in RULES:
            put_both(_share(drawn, rule), wording=wording, quantity="share", rule=rule)
            put(_any(drawn, rule), wording=wording, quantity="any", rule=rule)
            put(_share(greedy, rule), wording=wording, quantity="greedy", rule=rule)
        put(_share(drawn, "unknown"), wording=wording, quantity="unknown")
        put(_share(drawn, "other_child")[["backward"]], wording=wording, quantity="other_child")
    drawn = _drawn(replies)
    for kind, relation in TYPES.items():
        rows = drawn[drawn.parent_type == kind]
        if len(rows):
            put_both(_share(rows, BETTER), relation=relation, **SHARE)
    for rule in RULES:
        if rule != BETTER:
            more = 100 * (_share(drawn, BETTER) - _share(drawn, rule))
            put(more, POINTS, wording=POOLED, quantity="added_to", rule=rule)
    if log_probs is not None:
        for wording, rows in wordings(log_probs):
            nats = rows.set_index([*CELL, "order"]).log_prob.unstack("order")
            put_both(nats.apply(np.exp), wording=wording, quantity="probability")
            put(nats, "nat", wording=wording, quantity="log_prob")
    return found


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["sample"].notna()]


def _difference(values: pd.DataFrame) -> pd.Series:
    return 100 * (values.forward - values.backward)


def _share(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """By child, fact and wording (rows) and order (columns): the share of replies."""
    return rows.groupby([*CELL, "order"])[column].mean().unstack("order").astype(float)


def _any(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows.groupby([*CELL, "order"])[column].any().unstack("order").astype(float)


def tests(replies: pd.DataFrame, seed: int) -> list[Test]:
    """Is the share of samples the same in both orders? Signs of children flipped; Holm over the
    wordings; all wordings together stand alone."""
    found = {}
    for wording, rows in wordings(_drawn(replies)):
        share, name = _share(rows, BETTER), test_name(wording)
        children = list(share.index.get_level_values("child"))
        clusters = Clusters(children, derive_seed(seed, "sign_flip", name))
        found[wording] = clusters.test(_difference(share).to_numpy(), name)
    pooled = found.pop(POOLED)
    kept = holm([test for test in found.values() if test is not None])
    return [*kept, *([pooled] if pooled else [])]


def test_name(wording: str) -> str:
    """What the test of a wording, or of all of them, is called."""
    return Estimates("parents").name(wording=wording, **SHARE, order="difference")
