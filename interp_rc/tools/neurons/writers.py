"""Which neurons write the target's tokens: direct logit attribution, neuron by neuron."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.engine.observed import Observed, observed
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.tools.attribution.logit_attribution import check_linear
from interp_rc.tools.neurons.coefficients import per_prompt
from interp_rc.tools.neurons.key_values import key_values
from interp_rc.tools.readout.linear_parts import at_scale_of


def neuron_writes(
    model: Loaded,
    prompts: Sequence[str],
    targets: Sequence[str],
    *,
    memory: int | None = None,
) -> Float[Tensor, "prompt layer neuron"]:
    """What each neuron adds to the target's logits, over the mean of the vocabulary.

    Its coefficient where a token of the target is predicted, times its value through the last norm
    at the scale that it had, times the token's output row less the mean row; summed over the
    target's tokens (Geva et al. 2022, arXiv:2203.14680, section 3, and direct logit attribution).
    A norm after the MLP (Gemma 2) keeps its scale, too. All neurons of a layer, and
    the bias of their output, add up to `mlp_out` of `logit_attribution`.

    Raises what `logit_attribution` raises.
    """
    adapter = Adapter(model.model)
    layers = adapter.by_layers
    check_linear(layers)
    inputs = read_inputs(model, prompts, targets)
    places = [Place("mlp_post", layer) for layer in range(layers.layers)]
    kept = torch.promote_types(model.model.dtype, torch.float32)
    found: dict[int, Tensor] = {}
    for batch in observed(layers, inputs, places, "neurons that write", memory):
        at = batch.predicting()
        rows = _read_by_targets(layers, batch.inputs)
        last = batch.cached.stream[-1][at]
        by_layer = []
        for place in places:
            value = key_values(adapter, place.layer).values.double().to(layers.home)
            coefficients = batch.cached.values(place, *at)
            directions = _before_norms(layers, batch, place, coefficients, last, rows)
            written = coefficients.double() * (directions @ value.T)
            by_layer.append(per_prompt(written, at[0], len(batch.inputs)))
        for row, number in enumerate(batch.numbers):
            found[number] = torch.stack([one[row] for one in by_layer]).to(kept)
    return torch.stack([found[number] for number in range(len(inputs))])


def _read_by_targets(layers: Layerwise, inputs: Sequence[Input]) -> Float[Tensor, "token width"]:
    """The output rows of all targets' tokens, less the mean row."""
    head: nn.Linear = layers.parts.head  # type: ignore[assignment]
    weight = head.weight.detach()
    tokens = torch.tensor([token for one in inputs for token in one.targets])
    rows = weight[tokens.to(weight.device)].double() - weight.mean(0, dtype=torch.float64)
    return rows.to(layers.home)


def _before_norms(
    layers: Layerwise,
    batch: Observed,
    place: Place,
    coefficients: Float[Tensor, "token neuron"],
    last: Float[Tensor, "token width"],
    rows: Float[Tensor, "token width"],
) -> Float[Tensor, "token width"]:
    """What a value is multiplied with: the rows, seen through the norms at their scales. These are
    linear then, and the gradient at nothing is their transpose."""
    block = layers.parts.blocks[place.layer]
    with torch.enable_grad():
        part = torch.zeros_like(last, dtype=torch.float64, requires_grad=True)
        added: Tensor = part
        if block.after_mlp is not None:
            whole: Tensor = block.down(coefficients.to(layers.devices[place.layer]))
            added = at_scale_of(block.after_mlp, whole.to(layers.home).detach(), part)
        normed = at_scale_of(layers.parts.final_norm, last.detach(), added)
        [found] = torch.autograd.grad((normed * rows).sum(), part)
    return found
