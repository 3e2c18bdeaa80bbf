"""Attention knockout: some tokens may not attend to others, in a window of layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from interp_rc.engine.effects import Effects
from interp_rc.engine.inputs import Input
from interp_rc.engine.metrics import Metric
from interp_rc.engine.planning import check_windows
from interp_rc.engine.sites import Site, parse_site, tokens_of
from interp_rc.engine.steps import Patch, Token
from interp_rc.engine.sweep import Batch, Case, Into, Sweep, check, in_itself, read_cases
from interp_rc.engine.swept import Plan, effects_of, swept
from interp_rc.mechanism.patching import is_one_token, whole_difference
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.dimensions import text_config
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast


@dataclass(frozen=True)
class Chosen:
    """Tokens that no span covers: their positions in each contrast's prompt, by its id."""

    name: str
    positions: Mapping[str, Sequence[int]]


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
    adapter = Adapter(model.model)
    centres = range(adapter.layers) if layers is None else layers
    sites = [_site(queries, layer, window) for layer in centres]
    seen = keys if isinstance(keys, Chosen) else _site(keys, 0, 1)
    check(contrasts, sites, metric, into)
    for site in sites:
        if site.place.layer >= adapter.layers:
            raise ConfigError(f"this model has no layer {site.layer}; it has {adapter.layers}")
    check_windows(sites, adapter.layers)
    cases = read_cases(model, model, contrasts, metric)
    if metric == "logit_difference" and not all(is_one_token(case) for case in cases):
        return whole_difference(
            contrasts,
            lambda some: knockout(
                model, some, queries, keys, window=window, layers=layers, into=into, memory=memory
            ),
        )
    runs = adapter.by_layers
    sweep = Sweep(cases, runs, runs, metric, into, (), (), len(sites), memory)

    def plan(batch: Batch) -> Plan:
        patches: list[Patch] = []
        zeros: list[Patch] = []
        for base, number in enumerate(batch.numbers):
            case = cases[number]
            of_keys = _tokens(case, seen, into)
            for n, site in enumerate(sites):
                asked = _tokens(case, queries if isinstance(queries, Chosen) else site, into)
                _check_some_are_left(case, runs, _input(case, into), asked, of_keys)
                within = site.layers(runs.layers)
                patch = Patch(
                    (number, n), base, [], blocked=dict.fromkeys(within, (asked, of_keys))
                )
                nothing = _changes_nothing(_input(case, into), runs, within[0], asked, of_keys)
                (zeros if nothing else patches).append(patch)
        return Plan(patches, zeros, _gives_nothing)

    effects = effects_of(cases, sites, metric, into, swept(sweep, plan, "knockout"))
    named = keys.name if isinstance(keys, Chosen) else keys
    return Effects(effects.table.assign(keys=named), effects.baselines)


def _site(tokens: str | Chosen, layer: int, window: int) -> Site:
    if isinstance(tokens, Chosen):
        return Site("pattern", layer, tokens.name, "all", window=window)
    if "*" in tokens:
        raise ConfigError(f"{tokens!r} names no tokens; write SPAN.TOKEN or a position")
    [site] = parse_site(f"pattern.{layer}x{window}@{tokens}", layer + 1)
    return site


def _input(case: Case, into: Into) -> Input:
    return case.clean if into == "clean" else case.corrupted


def _tokens(case: Case, site: Site | Chosen, into: Into) -> list[int]:
    """All of the prompt's own: they need no partner in the other prompt."""
    offsets = _input(case, into).offsets
    if isinstance(site, Chosen):
        chosen = list(site.positions.get(case.contrast.id, ()))
        if not chosen or not 0 <= min(chosen) <= max(chosen) < len(offsets) - 1:
            raise DataError(
                f"{case.contrast.named}: {site.name} are the positions {chosen}; give some of 0 to "
                f"{len(offsets) - 2}"
            )
        return chosen
    return [t for t, _ in tokens_of(in_itself(case.contrast, into), site, offsets, offsets)]


def _check_some_are_left(
    case: Case, layers: Layerwise, read: Input, queries: Sequence[int], keys: Sequence[int]
) -> None:
    """Keys of the token itself count. Where some layers see a window of tokens only, all do."""
    narrow = getattr(text_config(layers.model), "sliding_window", None) or len(read.ids)
    for query in queries:
        visible = set(range(len(read.ids)))
        if layers.parts.causal:
            visible = set(range(max(0, query - narrow + 1), query + 1))
        if visible <= set(keys):
            raise DataError(
                f"{case.contrast.named}: the token at position {query} would see nothing at all; "
                "name fewer keys"
            )


def _changes_nothing(
    read: Input, layers: Layerwise, lowest: int, queries: Sequence[int], keys: Sequence[int]
) -> bool:
    """Whether no query would have seen any key, or nothing reads what they see."""
    if layers.parts.causal and min(keys) > max(queries):
        return True
    return lowest == layers.layers - 1 and not set(queries) & set(read.reads)


def _gives_nothing(place: Place, unit: int | None, token: Token) -> torch.Tensor:
    raise AssertionError("a knockout puts no values anywhere")
