"""Patching a file of contrasts, apart from any run."""

from pathlib import Path

import pandas as pd

from interp_rc.facts.contrasts import read_contrasts
from interp_rc.mechanism.effect_estimates import unit_of
from interp_rc.mechanism.effect_places import site_name
from interp_rc.mechanism.effects import Effects
from interp_rc.mechanism.named_sites import named_sites
from interp_rc.mechanism.patching import patch
from interp_rc.mechanism.sweep import Into
from interp_rc.models.load import load
from interp_rc.models.machine import choose_machine, use_threads
from interp_rc.records.numbers import Estimate


def patch_file(
    model: str,
    revision: str | None,
    pairs: Path,
    sites: list[str],
    out: Path,
    *,
    into: Into,
    memory: float | None = None,
) -> pd.DataFrame:
    """Write the effects on every contrast to `out`, with their baselines, as `Effects.load` reads
    them; returns each site's mean with its interval.

    Raises what `read_contrasts`, `load`, `named_sites` and `patch` raise; nothing is written then.
    """
    contrasts = read_contrasts(pairs)
    machine = choose_machine()
    use_threads(machine)
    loaded = load(model, revision=revision, device=machine.device)
    chosen = named_sites(loaded, contrasts, sites)
    effects = patch(
        loaded, contrasts, chosen, into=into, memory=None if memory is None else int(memory * 2**30)
    )
    effects.save(out)
    return summary(effects)


def summary(effects: Effects) -> pd.DataFrame:
    """Mean effect over facts by order and site, with its interval, for people."""
    rows = []
    for row in effects.estimates().to_dict("records"):
        low, high = (None if pd.isna(row[end]) else row[end] for end in ("low", "high"))
        mean = Estimate(row["mean"], low, high, row["n"], unit_of(row["metric"]))
        name = site_name(*(row[key] for key in ("site", "layer", "place", "head", "neuron")))
        rows.append((row["order"], name, mean.text(2), row["n"]))
    return pd.DataFrame(rows, columns=["order", "site", "effect", "facts"])
