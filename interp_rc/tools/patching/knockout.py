"""Attention knockout: some tokens may not attend to others, in a window of layers."""

from collections.abc import Sequence

from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import Chosen, Hidden, Patch
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.run_patches import run_patches
from interp_rc.engine.sites import Site, parse_site
from interp_rc.models.dimensions import layers_of
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.nouns import Contrast


def knockout(
    model: Loaded,
    contrasts: Sequence[Contrast],
    queries: str | Chosen,
    keys: str | Chosen,
    *,
    window: int = 1,
    layers: Sequence[int] | None = None,
    metric: Metric = "log_prob",
    into: Into = "clean",
    memory: int | None = None,
) -> Effects:
    """Measure what the tokens `queries` have from attending to the tokens `keys`.

    Both are written SPAN.TOKEN ("prompt.last", "A.all") or as a position, or `Chosen` one by one in
    the prompt `into`, of whose target the tokens before the last count. In the `window` of layers
    around each of `layers` (all, unless given; see `Site.layers`), all heads of the queries are
    kept from seeing the keys in the run of the prompt `into` (Geva et al. 2023, arXiv:2304.14767).
    Other tokens still see them, and may pass on what they saw. The table is as `patch` gives it,
    with the site "pattern" at the queries, and a column `keys`.

    Raises what `patch` raises; ConfigError for tokens that are not written so; DataError for a
    contrast in which a query would be left without any key, or has no such position.
    """
    hidden = Hidden(
        keys.name if isinstance(keys, Chosen) else keys,
        keys if isinstance(keys, Chosen) else _site(keys, 0, 1),
        queries if isinstance(queries, Chosen) else None,
    )
    centres = range(layers_of(model.model)) if layers is None else layers
    patches = [Patch(_site(queries, layer, window), hidden) for layer in centres]
    return run_patches(
        model, contrasts, patches, metric, into=into, memory=memory, label="knockout"
    )


def _site(tokens: str | Chosen, layer: int, window: int) -> Site:
    if isinstance(tokens, Chosen):
        return Site("pattern", layer, tokens.name, "all", window=window)
    if "*" in tokens:
        raise ConfigError(f"{tokens!r} names no tokens; write SPAN.TOKEN or a position")
    [site] = parse_site(f"pattern.{layer}x{window}@{tokens}", layer + 1)
    return site
