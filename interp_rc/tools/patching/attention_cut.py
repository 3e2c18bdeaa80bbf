"""What it costs the answer not to see the source, layer by layer; other tokens as control."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.interventions import Chosen
from interp_rc.engine.observed import source_tokens
from interp_rc.facts.contrasts import about_foil
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.patching.knockout import knockout

CUT = ("source", "others")
ALL = -1
"""In the place of a layer: all of them at once."""


def cut_costs(
    model: Loaded,
    contrasts: Sequence[Contrast],
    *,
    window: int = 1,
    seed: int = 0,
    memory: int | None = None,
) -> pd.DataFrame:
    """`cost`: nats of the target's log-probability lost when no token that predicts it may attend
    to some tokens of the clean prompt, in the `window` of layers around each, and in `ALL`.

    `keys` are all tokens of the `source`, or as many `others`, drawn at random from the rest of the
    prompt: all of the rest where it has fewer. The first token, on which heads without a task
    rest, and the predicting ones are never drawn; a contrast with nothing left has no such rows.
    `tokens` says how many were cut.

    Whoever does not see the source may no longer know what kind of answer is asked for, either:
    `over_foil` is the cost less what the foil loses by the same cut; null without a foil.
    """
    table = _costs(model, contrasts, window, seed, memory)
    foils = [about_foil(c) for c in contrasts if c.foil is not None]
    if not foils:
        return table.assign(over_foil=np.nan)
    keys = ["pair", "keys", "layer"]
    lost = _costs(model, foils, window, seed, memory).set_index(keys).cost
    table["over_foil"] = table.cost - lost.reindex(pd.MultiIndex.from_frame(table[keys])).to_numpy()
    return table


def _costs(
    model: Loaded, contrasts: Sequence[Contrast], window: int, seed: int, memory: int | None
) -> pd.DataFrame:
    adapter = Adapter(model.model)
    inputs = inputs_of(model, contrasts, "clean")
    ids = [c.id for c in contrasts]
    answer = Chosen("answer", {i: one.reads for i, one in zip(ids, inputs, strict=True)})
    source: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for contrast, one in zip(contrasts, inputs, strict=True):
        source[contrast.id] = source_tokens(contrast, one)
        others[contrast.id] = _others(contrast, one, source[contrast.id], seed)
    frames = []
    for name, positions in zip(CUT, (source, others), strict=True):
        some = [c for c in contrasts if positions[c.id]]
        if not some:
            continue
        keys = Chosen(name, positions)
        # Centred on any layer, this window has them all.
        for layers, wide in ((range(adapter.layers), window), (None, 2 * adapter.layers)):
            effects = knockout(
                model, some, answer, keys, window=wide, layers=layers or [0], memory=memory
            )
            clean = effects.baselines.set_index("pair").clean
            table = effects.table[["pair", "fact", "order", "layer", "keys"]].copy()
            table["window"] = wide
            table["cost"] = clean.loc[table.pair].to_numpy() - effects.table.value.to_numpy()
            table["tokens"] = table.pair.map({i: len(p) for i, p in positions.items()})
            if layers is None:
                table = table.assign(layer=ALL, window=adapter.layers)
            frames.append(table)
    return pd.concat(frames, ignore_index=True)


def _others(contrast: Contrast, one: Input, source: Sequence[int], seed: int) -> list[int]:
    rest = set(range(1, min(one.start, len(one.ids) - 1))) - {*source, *one.reads}
    draw = np.random.default_rng(derive_seed(seed, "others", contrast.id))
    count = min(len(source), len(rest))
    return sorted(int(n) for n in draw.choice(sorted(rest), count, replace=False))
