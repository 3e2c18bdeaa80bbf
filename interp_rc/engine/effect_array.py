"""Effects as labelled arrays."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interp_rc.engine.effect_places import with_place
from interp_rc.records.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

WHOLE = -1
"""The head, or neuron, of rows that are about all of them at once, where others are of one."""


def array_of(table: pd.DataFrame, baselines: pd.DataFrame) -> "xr.Dataset":
    """`effect`, `value`, `recovered` by pair, component, layer and place (position or span.token).

    There is a dimension `head` (or `neuron`) if any row is of one; -1 there means all of them at
    once. What was not patched is NaN; `structural_zero` is true where nothing could change. Pairs
    carry `fact`, `order`, `clean` and `corrupted`. DataError if a site comes twice in a pair.
    """
    import xarray as xr

    rows = with_place(table).rename(columns={"site": "component"})
    dims = ["pair", "component", "layer", "place"]
    for part in ("head", "neuron"):
        if rows[part].notna().any():
            rows[part] = rows[part].fillna(WHOLE).astype(int)
            dims.append(part)
    if rows.duplicated(dims).any():
        twice = rows[rows.duplicated(dims)].iloc[0]
        raise DataError(
            f"pair {twice.pair!r} has {twice.component}.{twice.layer}@{twice.place} twice; patch "
            "each site once"
        )
    at, labels = {}, {}
    for dim in dims:
        ordered = dim in ("layer", "head", "neuron") or rows[dim].dtype == int
        if dim == "layer" and rows.layer.isna().any():  # NaN: outside the layers
            rows["layer"] = rows.layer.astype(float)
        at[dim], known = pd.factorize(rows[dim], sort=ordered, use_na_sentinel=False)
        labels[dim] = np.asarray(known)
    shape = tuple(len(labels[dim]) for dim in dims)
    where = tuple(at[dim] for dim in dims)

    def filled(values: "pd.Series", empty: float | bool) -> np.ndarray:
        array = np.full(shape, empty)
        array[where] = values.to_numpy(array.dtype)
        return array

    found = xr.Dataset(
        {
            **{n: (dims, filled(rows[n], np.nan)) for n in ("effect", "value", "recovered")},
            "structural_zero": (dims, filled(rows.structural_zero, False)),
        },
        coords=labels,
        attrs={"metric": ", ".join(dict.fromkeys(rows.metric))},
    )
    pairs = baselines.set_index("pair").loc[labels["pair"]]
    return found.assign_coords(
        {n: ("pair", pairs[n].to_numpy()) for n in ("fact", "order", "clean", "corrupted")}
    )
