"""Rows of effects by what people call their site."""

import pandas as pd

KEYS = ("site", "layer", "place", "head", "neuron", "order", "metric")
"""What tells the sites of a map apart, and maps from each other."""


def with_place(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `place`: a position, or `span.token`; a window of layers joins the site, and
    so do the sender of a path, and the keys of a knockout.

    Places are whole numbers where all are positions, and texts if any is a span.
    """
    rows = table.copy()
    named = rows.span.notna()
    position = rows.position.astype("Int64")
    if not named.any():
        rows["place"] = position.astype(int)
    else:
        spans = rows.span.astype(object) + "." + rows.token.astype(object)
        rows["place"] = spans.where(named, position.astype(str).astype(object))
    if "window" in rows:
        wide = rows.window.fillna(1) > 1
        window = rows.window.astype("Int64").astype(str).astype(object)
        rows["site"] = rows.site.astype(object).where(
            ~wide, rows.site.astype(object) + "x" + window
        )
    for column, word in (("sender", "from"), ("keys", "without")):
        if column in rows:
            rows["site"] = rows.site.astype(object) + f" {word} " + rows[column].astype(object)
    return rows
