"""What a sweep's models said while they learnt: curves from `<experiment>_trace.csv`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.paper.parts import Paper
from interp_rc.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.records.numbers import Estimate
from interp_rc.report.section import Picture
from interp_rc.stats.over_seeds import mean_over_seeds

UNITS = {"loss": "nat", "accuracy": "fraction"}


def over_epochs(rows: pd.DataFrame, quantity: str) -> Mapping[float, Estimate]:
    """Mean over seeds at each epoch; `rows` has one a seed and epoch."""
    named = rows.rename(columns={quantity: "value"}).assign(unit=UNITS[quantity])
    return {float(epoch): mean_over_seeds(part) for epoch, part in named.groupby("epoch")}


def curve(rows: pd.DataFrame, quantity: str, label: str) -> Curve:
    """One subset, direction and set of targets; accuracies in percent."""
    (asked,), (kind,) = rows.asked.unique(), rows["set"].unique()
    found = over_epochs(rows, quantity)
    estimates = [in_percent(e) if quantity == "accuracy" else e for e in found.values()]
    return Curve(label, str(asked), list(found), estimates, shuffled=kind == "shuffled")


def in_percent(rate: Estimate) -> Estimate:
    value, low, high = (None if v is None else 100 * v for v in (rate.value, rate.low, rate.high))
    return replace(rate, value=value, low=low, high=high, unit="%")


def curves_picture(
    paper: Paper, name: str, panels: Sequence[CurvePanel], *, quantity: str
) -> Picture:
    """`alt` has the first and the last point of each curve."""
    alt = "; ".join(
        f"{panel.title} {one.label}: from {one.estimates[0].text(2)} to {one.estimates[-1].text(2)}"
        for panel in panels
        for one in panel.curves
    )
    return paper.picture(
        name, lambda theme: curves_figure(panels, theme, quantity=quantity), alt=alt
    )
