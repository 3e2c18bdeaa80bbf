"""What `interp-rc patch` and `interp-rc trace` write and print."""

from pathlib import Path

import pandas as pd

from interp_rc.display.figures.save import check_figure_file, save_as
from interp_rc.engine.effect_estimates import unit_of
from interp_rc.engine.effect_places import site_name
from interp_rc.engine.effects import Effects
from interp_rc.models.load import Loaded, load
from interp_rc.models.machine import choose_machine, use_threads
from interp_rc.pipeline.effect_options import AnyDevice
from interp_rc.records.disk import room_in
from interp_rc.records.errors import ConfigError
from interp_rc.records.numbers import Estimate

MOST = 40
"""Sites that are told of, at the most."""

MOST_GIB = 2**20


def check_files(out: Path, figure: Path | None) -> None:
    """Raises ConfigError, before anything is computed, for what cannot be written."""
    for file in (out, figure):
        if file is not None and file.is_dir():
            raise ConfigError(f"{file} is a folder; give the path of a file")
    if figure is not None:
        check_figure_file(figure)
        if figure == out:
            raise ConfigError(f"table and figure would both be {out}; give each its own file")


def write_effects(effects: Effects, out: Path, figure: Path | None) -> None:
    """The table as parquet, and its map; the map is drawn before anything is written."""
    drawn = None if figure is None else effects.plot()
    with room_in(out.parent, "the effects", "make space and run it again, with --resume"):
        effects.save(out)
        if figure is not None and drawn is not None:
            save_as(drawn, figure)


def load_here(model: str, revision: str | None, device: AnyDevice = "auto") -> Loaded:
    """The model on the device asked for, on the best there is, or spread over all of them.

    Raises what `load` and `choose_machine` raise.
    """
    machine = choose_machine("auto" if device == "spread" else device)
    use_threads(machine)
    return load(model, revision=revision, device="spread" if device == "spread" else machine.device)


def in_bytes(gib: float | None) -> int | None:
    """The bytes of some GiB; None stays None. Raises ConfigError for what no memory has."""
    if gib is None:
        return None
    if not 0 < gib <= MOST_GIB:
        raise ConfigError(f"--memory {gib}: give GiB above 0, e.g. 8, or leave it out")
    return int(gib * 2**30)


def summary(effects: Effects) -> pd.DataFrame:
    """Mean effect over facts by order and site, with its interval, for people: of more than `MOST`
    sites those with the largest. `attrs["left_out"]` counts the others."""
    rows = []
    estimates = effects.estimates()
    largest = estimates["mean"].abs().nlargest(MOST).index
    for row in estimates.loc[sorted(largest)].to_dict("records"):
        low, high = (None if pd.isna(row[end]) else row[end] for end in ("low", "high"))
        mean = Estimate(row["mean"], low, high, row["n"], unit_of(row["metric"]))
        name = site_name(*(row[key] for key in ("site", "layer", "place", "head", "neuron")))
        digits = 4 if row["metric"] == "probability" else 2
        note = "below noise floor" if row["below_floor"] else ""
        order = row["order"] if isinstance(row["order"], str) else ""
        rows.append((order, name, mean.text(digits), row["n"], note))
    table = pd.DataFrame(rows, columns=["order", "site", "effect", "facts", "note"])
    told = table.loc[:, [name for name in table if name == "facts" or table[name].any()]]
    told.attrs["left_out"] = len(estimates) - len(told)
    return told
