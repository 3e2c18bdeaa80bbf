"""Direct logit attribution: which parts of the network write the answer into the logits.

Elhage et al. 2021 (A Mathematical Framework for Transformer Circuits), Wang et al. 2022
(arXiv:2211.00593). The last layer's output is a sum of what the embedding, every head and every MLP
added to it; with the final norm's scale kept as it was, each of them adds to a logit on its own.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.metrics import LOGITS
from interp_rc.engine.observed import At, Observed, observed
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Component, Place, through
from interp_rc.models.dimensions import vocabulary_of
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.nouns import Contrast
from interp_rc.tools.readout.linear_parts import at_scale_of, bias_of, projected, written_by_heads

Against = Literal["foil", "vocabulary"]
KEPT: tuple[Component, ...] = ("z", "attn_out", "mlp_out")
ADDED_UP = ("embedding", "z", "attn_bias", "mlp_out", "bias")  # once each
COLUMNS = ["number", "against", "site", "layer", "head", "effect"]


class Directions(NamedTuple):
    """For each predicting token what its normed stream is multiplied with, what the head's bias
    adds, and what the model itself gives."""

    rows: Float[Tensor, "token width"]
    bias: Float[Tensor, " token"]
    own: Float[Tensor, " token"]


def logit_attribution(
    model: Loaded, contrasts: Sequence[Contrast], *, memory: int | None = None
) -> pd.DataFrame:
    """What each part adds to the target's logits after the clean prompt, one row each (`effect`).

    `against` the `foil`: the logit of the target's token less that of the foil's, at the first
    token where the two differ, where what stands before is the same for both; of contrasts with
    a foil. Against the `vocabulary`: the target's logits less the mean over the vocabulary, summed
    over its tokens, each after the true ones before it.

    `site`: `embedding` (with positions), `z` by `head`, `attn_bias` (of the output projection),
    `mlp_out`, `bias` (final norm and head); these add up to the `total`, the model's own
    difference, but for the `residual` of rounding. `attn_out` is the heads and their bias again.
    Logits that the model caps afterwards (Gemma 2) are meant before the cap. A norm after attention
    or MLP keeps its scale, too.

    Raises what `patch` raises for prompts that it cannot read; ModelError where the stream is not a
    sum, or the head not linear (BERT, RoBERTa), or where parts do not add up; DataError for a foil
    of which the target is the beginning, or the other way round.
    """
    layers = Adapter(model.model).by_layers
    check_linear(layers)
    inputs = inputs_of(model, contrasts, "clean")
    differing = _differing(model, contrasts, inputs)
    kept = [Place(component, layer) for layer in range(layers.layers) for component in KEPT]
    frames = []
    for batch in observed(layers, inputs, kept, "logit attribution", memory):
        frames.append(_of_batch(layers, batch, [differing[n] for n in batch.numbers]))
    table = pd.concat(frames, ignore_index=True).sort_values("number", kind="stable")
    _check_sum(table, layers.model.dtype)
    for n, (column, field) in enumerate((("pair", "id"), ("fact", "fact"), ("order", "order"))):
        table.insert(n, column, [getattr(contrasts[i], field) for i in table.number])
    return table.drop(columns="number").reset_index(drop=True)


def check_linear(layers: Layerwise) -> None:
    """Raises ModelError unless logits are linear in what was added to the stream."""
    kind, head = layers.model.config.model_type, layers.parts.head
    if any(block.mid_norm or block.end_norm for block in layers.parts.blocks):
        raise ModelError(
            f"in models of type {kind!r} the stream is normed after each sum and the head has a "
            "transform, so that parts do not add up to a logit; use the logit lens, or patch"
        )
    if not isinstance(head, nn.Linear):
        raise ModelError(
            f"the head of this model is a {type(head).__name__}, not linear; merge adapters into "
            "it, or use the logit lens"
        )


def _differing(
    model: Loaded, contrasts: Sequence[Contrast], inputs: Sequence[Input]
) -> list[tuple[int, int] | None]:
    """For each foil: the number of the first token that differs, and the foil's token there."""
    texts = [c.foil or c.target for c in contrasts]
    others = inputs_of(model, contrasts, "clean", targets=texts)
    found: list[tuple[int, int] | None] = []
    for contrast, one, other in zip(contrasts, inputs, others, strict=True):
        if contrast.foil is None:
            found.append(None)
            continue
        pairs = zip(one.targets, other.targets, strict=False)
        first = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
        if first is None or one.ids[: one.start] != other.ids[: other.start]:
            raise DataError(
                f"{contrast.named}: no token tells the target {contrast.target!r} from the foil "
                f"{contrast.foil!r} after the same tokens; give a foil that differs from it"
            )
        found.append((first, other.targets[first]))
    return found


def _of_batch(
    layers: Layerwise, batch: Observed, differing: Sequence[tuple[int, int] | None]
) -> pd.DataFrame:
    at = batch.predicting()
    last = batch.cached.stream[-1][at]
    norm = layers.parts.final_norm
    asked = _directions(layers, batch, last, differing)
    rows: list[tuple[int, Against, str, int | None, int | None, float]] = []

    def add(site: str, layer: int | None, head: int | None, against: Against, of: Tensor) -> None:
        for row, value in enumerate(batch.summed(of, at).tolist()):
            if against == "vocabulary" or differing[row] is not None:
                rows.append((batch.numbers[row], against, site, layer, head, value))

    left = {against: one.own - one.bias for against, one in asked.items()}
    for site, layer, head, part in _parts(layers, batch, at):
        normed = at_scale_of(norm, last, part)
        for against, directions in asked.items():
            given = (normed * directions.rows).sum(-1)
            add(site, layer, head, against, given)
            if site in ADDED_UP:
                left[against] = left[against] - given
    for against, one in asked.items():
        of_norm = (bias_of(norm, last.device) * one.rows).sum(-1)
        add("bias", None, None, against, of_norm + one.bias)
        add("total", None, None, against, one.own)
        add("residual", None, None, against, left[against] - of_norm)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"layer": "Int64", "head": "Int64"})


def _parts(
    layers: Layerwise, batch: Observed, at: At
) -> Iterator[tuple[str, int | None, int | None, Float[Tensor, "token width"]]]:
    """Everything that was added to the stream at these tokens."""
    yield "embedding", None, None, batch.cached.stream[0][at]
    for layer, block in enumerate(layers.parts.blocks):
        added = {c: batch.cached.values(Place(c, layer), *at) for c in KEPT}
        z, after = added["z"], block.after_attention
        whole = projected(layers, layer, z)
        for head, written in enumerate(written_by_heads(layers, layer, z)):
            yield "z", layer, head, at_scale_of(after, whole, written)
        bias = projected(layers, layer, torch.zeros_like(z))
        yield "attn_bias", layer, None, at_scale_of(after, whole, bias)
        yield "attn_out", layer, None, added["attn_out"]
        yield "mlp_out", layer, None, added["mlp_out"]


def _directions(
    layers: Layerwise,
    batch: Observed,
    last: Float[Tensor, "token width"],
    differing: Sequence[tuple[int, int] | None],
) -> dict[Against, Directions]:
    head: nn.Linear = layers.parts.head  # type: ignore[assignment]
    weight = head.weight.detach()
    device = last.device
    tokens = [token for one in batch.inputs for token in one.targets]
    targets = torch.tensor(tokens, device=device)
    foils, chosen = targets.clone(), torch.zeros(len(tokens), dtype=torch.bool, device=device)
    begin = 0
    for one, there in zip(batch.inputs, differing, strict=True):
        if there is not None:
            foils[begin + there[0]], chosen[begin + there[0]] = there[1], True
        begin += len(one.targets)
    of_target, of_foil, mean = _logits(layers, last, targets, foils)
    bias = bias_of(head, device).expand(len(weight))

    def rows(ids: Tensor) -> Tensor:
        return weight[ids.to(weight.device)].to(device).double()

    middle = weight.mean(0, dtype=torch.float64).to(device)
    return {
        "foil": Directions(
            rows(targets) - rows(foils),  # zero but where they differ
            bias[targets] - bias[foils],
            (of_target - of_foil).where(chosen, 0.0),
        ),
        "vocabulary": Directions(
            rows(targets) - middle, bias[targets] - bias.mean(), of_target - mean
        ),
    }


def _logits(
    layers: Layerwise, last: Tensor, targets: Tensor, foils: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The model's own, of target and foil and the mean of all, before a cap; in float64."""
    step = max(1, LOGITS // vocabulary_of(layers.model))
    found = []
    for begin in range(0, len(last), step):
        some = slice(begin, begin + step)
        stream = through(layers.parts.final_norm, last[some].to(layers.end))
        logits = layers.parts.head(stream).to(last.device).double()
        both = logits.gather(-1, torch.stack([targets[some], foils[some]], -1))
        found.append(torch.cat([both, logits.mean(-1, keepdim=True)], -1))
    of_target, of_foil, mean = torch.cat(found).unbind(-1)
    return of_target, of_foil, mean


def _check_sum(table: pd.DataFrame, dtype: torch.dtype) -> None:
    """Raises ModelError where the parts of a prompt do not add up to the model's own logits, up to
    the rounding of their type."""
    keys = ["number", "against"]
    scale = table[table.site.isin(ADDED_UP)].effect.abs().groupby([table[k] for k in keys]).sum()
    residual = table[table.site == "residual"].set_index(keys).effect.abs()
    tolerance = min(200 * max(torch.finfo(dtype).eps, 1e-9), 0.05)  # some norms are in float32
    worst = (residual / scale.clip(lower=1e-30)).max()
    if worst > tolerance:
        raise ModelError(
            f"the parts of the stream leave {worst:.1e} of the logits unexplained; this model is "
            "not a sum of them as its adapter says: use patching"
        )
