"""Rows of effects by what people call their site."""

import re

import pandas as pd

from interp_rc.engine.sites import OF_NEURONS
from interp_rc.models.adapters.parts import COMPONENTS

KEYS = ("site", "layer", "place", "head", "neuron", "order", "metric")
"""What tells the sites of a map apart, and maps from each other."""
WINDOWED = re.compile(rf"({'|'.join(COMPONENTS)})x(\d+)")


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


def without_window(site: str) -> tuple[str, str]:
    """A site of `with_place` as its component (or module), and its window or nothing."""
    found = WINDOWED.fullmatch(site)  # modules have none, whatever their names end in
    return (site, "") if found is None else (found[1], found[2])


def site_name(site: str, layer: float, place: int | str, head: float, neuron: float) -> str:
    """The name of a site of `with_place`, as `parse_site` reads it; a null head is none.

    What is numbered as a neuron of another component than these is a direction.
    """
    component, window = without_window(site)
    part = "" if pd.isna(head) else f".h{int(head)}"
    if not pd.isna(neuron):
        part += f".{'n' if component in OF_NEURONS else 'd'}{int(neuron)}"
    part += f"x{window}" if window else ""
    number = f".{int(layer)}" if component in COMPONENTS else ""
    return f"{component}{number}{part}@{place}"
