"""Pairs of sentences for people: how many there are of which kind, and what they look like."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from interp_rc.records.nouns import Pair

if TYPE_CHECKING:
    import pandas as pd

KIND = ["label_set", "entities", "split", "held_out", "form", "label"]


def pair_summary(pairs: Iterable[Pair]) -> "pd.DataFrame":
    """Counts in long form: pairs, and the relations they are about, of each kind."""
    rows = _table(pairs)
    grouped = rows.groupby(KIND, sort=False)["relation"]
    return grouped.agg(relations="nunique", count="size").reset_index()


def pair_examples(pairs: Iterable[Pair], n: int) -> "pd.DataFrame":
    """The first `n` pairs of each kind."""
    return _table(pairs).groupby(KIND, sort=False).head(n).reset_index(drop=True)


def _table(pairs: Iterable[Pair]) -> "pd.DataFrame":
    import pandas as pd

    columns = [*KIND, "relation", "premise", "hypothesis"]
    return pd.DataFrame(
        [[getattr(pair, key) for key in columns] for pair in pairs], columns=columns
    )
