"""What patching did: one value per contrast and site, and what to make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from interp_rc.display.figures.style import LIGHT, Theme
from interp_rc.engine.effect_array import array_of
from interp_rc.engine.effect_estimates import estimates_of
from interp_rc.engine.effect_plot import effects_figure
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet
from interp_rc.records.tables import read_parquet

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

BASELINE = ("pair", "fact", "order", "clean", "corrupted")
COLUMNS = (
    "pair fact order site layer position span token head neuron metric value effect recovered "
    "structural_zero"
).split()
FLOOR = ("site", "layer", "floor")


@dataclass(frozen=True)
class Effects:
    """`table` has one row per contrast and site, in the columns of `mechanism/<tool>.parquet`.

    `value` is the metric after the intervention, `effect` = value - corrupted, `recovered` =
    effect / (clean - corrupted); nats. `position` is 0-based, in the prompt that was patched, and
    null for all tokens of a span. `structural_zero` says that the causal mask allows no effect. A
    column `window`, if there is one, says over how many layers.
    `baselines` has clean and corrupted per contrast, and perhaps `tokens`: the texts of the tokens
    of the prompt that was patched, by position.
    `floor` has for each `site` and `layer` what rounding alone can do there, in the metric's unit.
    """

    table: pd.DataFrame
    baselines: pd.DataFrame
    floor: pd.DataFrame | None = None

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of the table, one observation a row."""
        return self.table.copy()

    def to_xarray(self) -> "xr.Dataset":
        """`effect`, `value`, `recovered` and `structural_zero` by pair, component, layer and place
        (and head, neuron), as labelled arrays; see `array_of`."""
        return array_of(self.table, self.baselines)

    def estimates(self, *, seed: int = 0) -> pd.DataFrame:
        """Each site's mean over facts with its 95 % interval and test; see `estimates_of`."""
        return estimates_of(self.table, self.baselines, self.floor, seed=seed)

    def plot(self, *, theme: Theme = LIGHT) -> "Figure":
        """The map: for each order and component, layers x places, or layers x heads.

        Colours are shares of what separates clean from corrupted, if that is told from zero, else
        the metric's own unit. Grey cells can have no effect; hatched ones are not told from zero
        (5 % false discoveries), or below the noise floor.
        """
        return effects_figure(self.estimates(), self.baselines, theme)

    def save(self, path: Path | str) -> None:
        """Write the table as parquet; baselines and floor go along in the file's own metadata."""
        table = self.table.copy()
        table.attrs = {"baselines": _columns(self.baselines), "floor": _columns(self.floor)}
        write_parquet(Path(path), table)

    @classmethod
    def load(cls, path: Path | str) -> "Effects":
        """What `save` wrote; DataError for a file that is not there or was not written by it."""
        table = read_parquet(Path(path))
        try:
            if unsaved := {"baselines", "floor"} - set(table.attrs):
                raise DataError(f"holds no {min(unsaved)}")
            baselines, floor = table.attrs["baselines"], table.attrs["floor"]
            baselines = _table(baselines, BASELINE)
            floor = None if floor is None else _table(floor, FLOOR)
            if lacking := [name for name in COLUMNS if name not in table]:
                raise DataError(f"has no column {lacking[0]!r}")
        except (DataError, TypeError, ValueError) as error:
            raise DataError(f"{error}; give a file that Effects.save wrote", file=path) from None
        table.attrs = {}
        return cls(table, baselines, floor)


def _table(columns: Any, needed: Sequence[str]) -> pd.DataFrame:
    """The table of some columns; DataError if one of the `needed` is not among them."""
    table = pd.DataFrame(columns)
    if lacking := [name for name in needed if name not in table]:
        raise DataError(f"holds no {lacking[0]!r} in its baselines or its floor")
    return table


def _columns(table: pd.DataFrame | None) -> dict[str, list[Any]] | None:
    """Columns as lists, null as None."""
    if table is None:
        return None
    whole = table.astype(object)
    whole = whole.where(whole.notna(), None)
    return {str(name): whole[name].tolist() for name in whole}
