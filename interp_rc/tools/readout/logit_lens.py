"""The logit lens: what the model would say if it stopped at a layer (nostalgebraist 2020)."""

from collections.abc import Sequence

import pandas as pd
import torch

from interp_rc.engine.inputs import inputs_of
from interp_rc.engine.metrics import measured
from interp_rc.engine.names import Metric
from interp_rc.engine.observed import Observed, observed, source_tokens
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast

PLACES = ("answer", "source_last")
VALUES: tuple[Metric, ...] = ("log_prob", "rank")


def logit_lens(
    model: Loaded, contrasts: Sequence[Contrast], *, memory: int | None = None
) -> pd.DataFrame:
    """The clean prompts' residual stream after each sublayer, as final norm and head read it.

    One row a contrast, stage of the stream (`site`, `layer`: the first layer's `resid_pre` is the
    embedding) and `place`. At the `answer`, each token of the target is read where the model
    predicts it, after the true ones before it: `log_prob` is that of the whole target (nats, as the
    model says it at the last stage), `rank` the largest of its tokens' (1: each is the likeliest).
    At `source_last`, where no target is predicted, all its tokens are read from the one position.
    `foil_log_prob` is that of the foil, after the same prompt; null without one. Both are sums, of
    `tokens` and `foil_tokens` tokens: at the source, where longer means no less likely as a whole,
    compare them a token.

    A head with a transform of its own (BERT) is gone through whole. Raises what `patch` raises for
    prompts it cannot read, and ModelError for families without an adapter.
    """
    layers = Adapter(model.model).by_layers
    of_target = _read(model, layers, contrasts, [c.target for c in contrasts], VALUES, memory)
    some = [n for n, contrast in enumerate(contrasts) if contrast.foil is not None]
    foils = [contrasts[n] for n in some]
    texts = [c.foil or "" for c in foils]
    of_foil = _read(model, layers, foils, texts, ("log_prob",), memory)
    of_foil = of_foil.rename(columns={"log_prob": "foil_log_prob", "tokens": "foil_tokens"})
    of_foil["number"] = of_foil.number.map(dict(enumerate(some)))
    keys = ["number", "site", "layer", "place"]
    table = of_target.merge(of_foil, how="left", on=keys)
    order = {"pair": "id", "fact": "fact", "order": "order"}
    for n, (column, field) in enumerate(order.items()):
        table.insert(n, column, [getattr(contrasts[i], field) for i in table.number])
    table["foil_tokens"] = table.foil_tokens.astype("Int64")
    return table.drop(columns="number")


def stages(layers: Layerwise) -> list[Place]:
    """Of the stream, from the embedding to what the head reads; also between attention and MLP,
    unless these work side by side."""
    found = [Place("resid_pre", 0)]
    for layer, block in enumerate(layers.parts.blocks):
        after: tuple[Component, ...] = ("resid_post",)
        found += [Place(c, layer) for c in (after if block.parallel else ("resid_mid", *after))]
    return found


def _read(
    model: Loaded,
    layers: Layerwise,
    contrasts: Sequence[Contrast],
    targets: Sequence[str],
    metrics: Sequence[Metric],
    memory: int | None,
) -> pd.DataFrame:
    """Of each target (`number`: the contrast), stage and place."""
    inputs = inputs_of(model, contrasts, "clean", targets=targets)
    sources = [source_tokens(c, one)[-1] for c, one in zip(contrasts, inputs, strict=True)]
    places = stages(layers)
    kept = [place for place in places if place.component == "resid_mid"]
    rows = []
    for batch in observed(layers, inputs, kept, "logit lens", memory):
        reads = [one.reads for one in batch.inputs]
        at_source = [[sources[n]] * len(r) for n, r in zip(batch.numbers, reads, strict=True)]
        for stage in places:
            for place, positions in zip(PLACES, (reads, at_source), strict=True):
                values = {m: _value(layers, batch, stage, positions, m) for m in metrics}
                rows += [
                    {
                        "number": number,
                        "site": stage.component,
                        "layer": stage.layer,
                        "place": place,
                        "tokens": len(reads[row]),
                    }
                    | {metric: found[row] for metric, found in values.items()}
                    for row, number in enumerate(batch.numbers)
                ]
    columns = ["number", "site", "layer", "place", "tokens", *metrics]
    return pd.DataFrame(rows, columns=columns).sort_values("number", kind="stable")


def _value(
    layers: Layerwise,
    batch: Observed,
    place: Place,
    positions: Sequence[Sequence[int]],
    metric: Metric,
) -> list[float]:
    """Of the targets, from the stream at the `positions`: one for each of their tokens."""
    predicting = batch.predicting()
    lines = batch.cached.values(place, *batch.at(positions))
    n = len(batch.inputs)
    found: torch.Tensor = measured(
        metric, layers, batch.cached.asked, lines, predicting, predicting[0], n
    )
    return found.tolist()
