"""What a sweep's models said while they learnt: curves from `<experiment>_trace.csv`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.paper.parts import Paper
from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.section import Picture
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import RATE
from interp_rc.stats.over_seeds import mean_over_seeds

UNITS = {"loss": "nat", "accuracy": RATE}


def over_epochs(rows: pd.DataFrame, quantity: str) -> Mapping[float, Estimate]:
    """Mean over seeds at each epoch; `rows` has one a seed and epoch."""
    named = rows.rename(columns={quantity: "value"}).assign(unit=UNITS[quantity])
    return {float(epoch): mean_over_seeds(part) for epoch, part in named.groupby("epoch")}


def curve(rows: pd.DataFrame, quantity: str, label: str) -> Curve:
    """One subset, direction and set of targets."""
    (asked,), (kind,) = rows.asked.unique(), rows["set"].unique()
    found = over_epochs(rows, quantity)
    return Curve(label, str(asked), list(found), list(found.values()), kind == "shuffled")


def in_percent(one: Curve) -> Curve:
    """Rates as they are drawn; other numbers as they are."""
    return replace(one, estimates=[_percent(estimate) for estimate in one.estimates])


def _percent(rate: Estimate) -> Estimate:
    if rate.unit != RATE:
        return rate
    value, low, high = (None if v is None else 100 * v for v in (rate.value, rate.low, rate.high))
    return Estimate(value, low, high, rate.n, "%")


def curves_picture(
    paper: Paper, name: str, panels: Sequence[CurvePanel], *, quantity: str
) -> Picture:
    """`alt` has the first and the last point of each curve."""
    alt = "; ".join(
        f"{panel.title} {one.label}: from {one.estimates[0].text()} to {one.estimates[-1].text()}"
        for panel in panels
        for one in panel.curves
    )
    drawn = [replace(panel, curves=list(map(in_percent, panel.curves))) for panel in panels]
    return paper.picture(
        name, lambda theme: curves_figure(drawn, theme, quantity=quantity), alt=alt
    )
