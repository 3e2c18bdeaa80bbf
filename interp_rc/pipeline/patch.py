"""Patching a file of contrasts, apart from any run."""

from pathlib import Path

import pandas as pd

from interp_rc.facts.contrasts import read_contrasts
from interp_rc.mechanism.patching import Into, patch
from interp_rc.mechanism.sites import parse_site
from interp_rc.models.load import load
from interp_rc.models.machine import choose_machine, use_threads
from interp_rc.stats.intervals import bootstrap_mean


def patch_file(
    model: str,
    revision: str | None,
    pairs: Path,
    sites: list[str],
    out: Path,
    *,
    into: Into,
    batch_size: int,
) -> pd.DataFrame:
    """Write the effects on every contrast to `out`, with their baselines, as `Effects.load` reads
    them; returns each site's mean with its interval.

    Raises what `read_contrasts`, `load`, `parse_site` and `patch` raise; nothing is written then.
    """
    contrasts = read_contrasts(pairs)
    machine = choose_machine()
    use_threads(machine)
    loaded = load(model, revision=revision, device=machine.device)
    layers = loaded.model.config.num_hidden_layers
    chosen = [site for text in sites for site in parse_site(text, layers)]
    effects = patch(loaded, contrasts, chosen, into=into, batch_size=batch_size)
    effects.save(out)
    return summary(effects.table)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean effect over facts by order and site, in nats."""
    where = (table.span + "." + table.token).fillna(table.position.astype(str))
    names = table.site + "." + table.layer.astype(str) + "@" + where
    rows = []
    for (order, site), part in table.groupby([table.order, names], sort=False, dropna=False):
        mean = bootstrap_mean(part.groupby("fact").effect.mean().to_numpy(float), "nat", seed=0)
        rows.append((order, site, mean.text(2), mean.n))
    return pd.DataFrame(rows, columns=["order", "site", "effect", "facts"])
