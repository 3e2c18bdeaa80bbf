"""Estimates as a figure: what is drawn where, and how it is called."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp_rc.display.figures.site_map import Grid, site_map_figure
from interp_rc.display.figures.style import Theme, styled
from interp_rc.engine.effect_estimates import FALSE_DISCOVERY_RATE, unit_of
from interp_rc.engine.effect_places import without_window
from interp_rc.models.adapters.parts import COMPONENTS

MASKED = "not told from zero"
OR_ROUNDING = ", or from rounding"


def effects_figure(estimates: pd.DataFrame, baselines: pd.DataFrame, theme: Theme) -> Figure:
    """A panel for each order and component; for single heads or neurons, one for each place too."""
    possible = estimates[~estimates.structural_zero]
    shares = bool(possible.recovered.notna().all()) and len(possible) > 0
    value = "recovered" if shares else "mean"
    largest = float(possible[value].abs().max()) if len(possible) else 0.0
    limit = min(largest, 1.0) if shares else largest
    metrics = ", ".join(dict.fromkeys(estimates.metric))
    quantity = "share of the total recovered" if shares else f"effect [{unit_of(metrics)}]"
    with styled(theme):
        return site_map_figure(
            list(grids_of(estimates, value, _texts(baselines))),
            theme,
            quantity=quantity,
            limit=limit or 1.0,
            masked=MASKED + (OR_ROUNDING if estimates.below_floor.any() else ""),
        )


def grids_of(estimates: pd.DataFrame, value: str, texts: dict[int, str]) -> Iterator[Grid]:
    """Panels in the order of the table; `texts` are those of tokens that all prompts share."""
    numbered = estimates[estimates["site"].map(_is_of_layers)]
    every = sorted(map(int, numbered.layer.unique()))
    orders = estimates.order.nunique(dropna=False)
    single = estimates["head"].notna() | estimates.neuron.notna()
    kind = np.select([estimates["head"].notna(), estimates.neuron.notna()], ["head", "neuron"], "")
    keyed = estimates.assign(kind=kind, at=estimates.place.astype(object).where(single, ""))
    keys = ["order", "metric", "site", "kind", "at"]
    for (order, metric, site, of, at), part in keyed.groupby(keys, sort=False, dropna=False):
        component, window = without_window(str(site))
        titles, of = [component + (f" × {window} layers" if window else "")], str(of)
        if of:
            titles.append(_label(at, texts))
        if estimates.metric.nunique() > 1:
            titles.append(str(metric))
        if orders > 1:
            titles.append(order if isinstance(order, str) else "no order")
        row_key = of or "place"
        rows: list[Any] = list(dict.fromkeys(part[row_key]))
        if of or all(isinstance(row, int | np.integer) for row in rows):
            rows.sort()
        # Beside those of an MLP, what is numbered are directions that the user gave.
        unit = "direction" if of == "neuron" and not titles[0].startswith("mlp_post") else of
        labels = [f"{unit} {int(row)}" if of else _label(row, texts) for row in rows]
        # A module by its name is in one layer, or in none.
        layers = every if _is_of_layers(str(site)) else [_number(part.layer.iloc[0])]
        yield _grid(part, ", ".join(titles), labels, rows, row_key, layers, value)


def _is_of_layers(site: str) -> bool:
    """Whether it is a component, which every layer has, and no module by its name."""
    return re.split("x[0-9]| ", site)[0] in COMPONENTS


def _number(layer: Any) -> int | None:
    return None if pd.isna(layer) else int(layer)


def _grid(
    part: pd.DataFrame,
    title: str,
    labels: Sequence[str],
    rows: Sequence[Any],
    row_key: str,
    layers: Sequence[int | None],
    value: str,
) -> Grid:
    y = part[row_key].map({row: i for i, row in enumerate(rows)}).to_numpy(int)
    x = [layers.index(_number(layer)) for layer in part.layer]
    shape = len(rows), len(layers)
    values = np.full(shape, np.nan)
    values[y, x] = part[value].to_numpy(float)
    impossible, masked = np.zeros(shape, bool), np.zeros(shape, bool)
    impossible[y, x] = part.structural_zero
    masked[y, x] = part.below_floor | (part.p_adjusted > FALSE_DISCOVERY_RATE)
    values[impossible] = 0.0
    return Grid(title, labels, layers, values, impossible, masked)


def _label(place: Any, texts: dict[int, str]) -> str:
    if not isinstance(place, int | np.integer):
        return str(place).replace(".", ", ")
    position = int(place)
    return f"{texts[position]} {position}" if position in texts else str(position)


def _texts(baselines: pd.DataFrame) -> dict[int, str]:
    """The text of each position at which all pairs have the same token, if it has one."""
    if "tokens" not in baselines:
        return {}
    at: dict[int, set[str]] = {}
    for tokens in baselines.tokens:
        for position, text in enumerate(tokens):
            at.setdefault(position, set()).add(text)
    return {
        position: text.strip().replace("\n", "↵")
        for position, [text, *others] in ((position, [*texts]) for position, texts in at.items())
        if text and not others
    }
