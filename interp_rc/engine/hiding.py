"""Attention knocked out: which tokens do not see which, and what that can change."""

from collections.abc import Sequence

from interp_rc.engine.cases import Batch, BothRuns, Case, in_itself
from interp_rc.engine.inputs import Input
from interp_rc.engine.interventions import Chosen, Hidden, Patch
from interp_rc.engine.names import Into
from interp_rc.engine.sites import Site, tokens_of
from interp_rc.engine.steps import ChangedRun
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.dimensions import text_config
from interp_rc.records.errors import DataError


def hidden_runs(
    both: BothRuns, batch: Batch, patches: Sequence[Patch]
) -> tuple[list[ChangedRun], list[ChangedRun]]:
    """Of the patches that hide keys: what is to be computed of a batch, and what is known to change
    nothing."""
    changed: list[ChangedRun] = []
    zeros: list[ChangedRun] = []
    for base, number in enumerate(batch.numbers):
        case, read = both.cases[number], both.cases[number].taking(both.into)
        for n, (site, value) in enumerate(patches):
            if not isinstance(value, Hidden):
                continue
            queries = _tokens(case, value.queries or site, both.into)
            keys = _tokens(case, value.keys, both.into)
            _check_some_are_left(case, both.by_layers, read, queries, keys)
            within = site.layers(both.taking.layers)
            run = ChangedRun((number, n), base, [], blocked=dict.fromkeys(within, (queries, keys)))
            nothing = _changes_nothing(read, both.by_layers, within[0], queries, keys)
            (zeros if nothing else changed).append(run)
    return changed, zeros


def _tokens(case: Case, site: Site | Chosen, into: Into) -> list[int]:
    """All of the prompt's own: they need no partner in the other prompt."""
    offsets = case.taking(into).offsets
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
