"""Integrated gradients on planted models: on the stream, and on what is added to it.

On the stream the truth is a hand-over: before the carrier head's layer (of a store in a head: that
head's) the source's tokens carry the fact and the prompt's last token carries nothing of it; behind
it the last token does, and the source, which no head reads any more, nothing. On the outputs of
attention and MLP the truth is the store itself, as for patching.

The baseline is the corrupted prompt, which has as many words: what both share changes nothing, and
gets nothing. Null are the stream at the last token up to the first head that writes there, the
stream at the source behind the last head that reads it, and the outputs that are null for patching.
One exception: a head writes at the source as well, and if another head (a decoy is one) reads that
later, the two tokens act on each other through the norms while the path moves both; of such a
head's output only the sum over tokens is null, and it is left out. In float32, so that facts differ
by rounding and can be tested.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.logit_attribution import rounded
from interp_rc.measures.integrated_gradients.spans import by_span
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import LAYERS, At, Planted
from interp_rc.records.nouns import Contrast, Order
from interp_rc.tools.attribution.integrated_gradients import integrated_gradients, streams
from interp_rc.tools.patching.discoveries import discoveries, first_place

FLOOR = 1e-3  # nat: far below a fact's effect, far above the rounding of float32
ENDS = {"source": "source", "prompt_last": "prompt"}
OUTPUTS = [Place(c, layer) for layer in range(LAYERS) for c in ("attn_out", "mlp_out")]


def tool(one: Planted, order: Order) -> Finding | None:
    """None where prompts end with the source: nothing is handed over there."""
    if one.kind == "confined":
        return None
    model = rounded(one)
    contrasts = some_of(one.contrasts[order])
    places = [*streams(LAYERS), *OUTPUTS]
    found = integrated_gradients(model, contrasts, places, baseline="corrupted")
    table = by_span(found, LAYERS)
    table = table[(table.method == "integrated_gradients") & table.place.isin(ENDS)]
    table = table.assign(place=table.place.map(ENDS))
    tests = discoveries(table, FLOOR, "at")
    names = "at." + table.site + ".layer_" + table.layer.astype(str) + "." + table.place
    null = {name_of(at) for at in null_outputs(one, model, order) + null_streams(model)}
    on_stream = table.site.str.startswith("resid")
    return finding(
        first=at_store(table[~on_stream], one.store[order])
        and hand_over(table[on_stream], one, order),
        tests=tests,
        null=null,
        null_effects=table.effect[names.isin(null)].tolist(),
    )


def some_of(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Every fact in one template, another one for every other fact."""
    by_fact: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        by_fact.setdefault(contrast.fact, []).append(contrast)
    return [said[number % len(said)] for number, said in enumerate(by_fact.values())]


def name_of(at: At) -> str:
    return f"at.{at.place.component}.layer_{at.place.layer}.{at.span}"


def writer(one: Planted, order: Order) -> int:
    """The layer of the head that brings the answer to the prompt's last token."""
    path = [*one.carriers[order], one.store[order]]
    return max(at.place.layer for at in path if at.place.component == "attn_out")


def null_outputs(one: Planted, model: Loaded, order: Order) -> list[At]:
    early = heads_of(model)[:-1]
    return [
        at
        for at in one.null[order]
        if at.place.component == "mlp_out" or at.place.layer not in early
    ]


def null_streams(model: Loaded) -> list[At]:
    heads = heads_of(model)
    places = list(enumerate(streams(LAYERS)))
    return [
        *(At(place, "prompt") for number, place in places if number <= heads[0]),
        *(At(place, "source") for number, place in places if number > heads[-1]),
    ]


def heads_of(model: Loaded) -> list[int]:
    """Layers whose attention writes anything at all: the others' weights are zero."""
    blocks = Adapter(model.model).parts.blocks
    return [layer for layer, block in enumerate(blocks) if block.project.weight.any()]


def at_store(table: pd.DataFrame, store: At) -> bool:
    """Of whole outputs, both tokens summed, the store's comes first, and at its own token: a head
    may give one token a little more than the answer has, and take it from the other."""
    keys = ["fact", "site", "layer"]
    whole = table.groupby(keys).effect.sum().reset_index().assign(place=store.span)
    own = table[(table.site == store.place.component) & (table.layer == store.place.layer)]
    token = own.groupby("place").effect.mean().idxmax()
    planted = (store.place.component, store.place.layer, store.span)
    return first_place(whole) == planted and token == store.span


def hand_over(table: pd.DataFrame, one: Planted, order: Order) -> bool:
    """At every layer the token that carries the fact comes first."""
    means = table.groupby(["site", "layer", "place"]).effect.mean()
    return all(
        float(np.sign(means[(*at, "source")] - means[(*at, "prompt")]))
        == (1.0 if number <= writer(one, order) else -1.0)
        for number, place in enumerate(streams(LAYERS))
        for at in [(place.component, place.layer)]
    )
