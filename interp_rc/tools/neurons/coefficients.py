"""Runs of prompts in which some neurons have other coefficients than their own."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.metrics import measured
from interp_rc.models.adapters.layerwise import Layerwise, See
from interp_rc.models.adapters.parts import Component
from interp_rc.models.adapters.ragged import Layout, whole_prompts

Neurons = Bool[Tensor, "prompt layer neuron"]
Changed = Callable[[int, Float[Tensor, "token neuron"], Layout], Float[Tensor, "token neuron"]]
"""From a layer, and the coefficients of all tokens there, to those that stand in their place."""


@torch.no_grad()
def run_with(runs: Layerwise, prompts: Cached, changed: Changed) -> Float[Tensor, " prompt"]:
    """log p(target) after every prompt, its neurons `changed` on the way up; `runs` must be open.

    Coefficients of higher layers are those that the changed stream makes, before they are changed.
    """
    layout = whole_prompts(prompts.lengths)

    def see(layer: int) -> See:
        def at(component: Component, value: Tensor) -> Tensor:
            return changed(layer, value, layout) if component == "mlp_post" else value

        return at

    last, _ = runs.whole(prompts.ids, prompts.lengths, see)
    read = prompts.asked.read[layout.row, layout.position]
    at = (layout.row[read], layout.position[read])
    return measured("log_prob", runs, prompts.asked, last[read], at, at[0], len(prompts.ids))


def given_at(
    tokens: tuple[Int[Tensor, " token"], Int[Tensor, " token"]],
    neurons: Neurons,
    given: Callable[[int], Float[Tensor, "token neuron"]],
) -> Changed:
    """At `tokens` (prompt, position), each prompt's `neurons` get what is `given` for the layer."""

    def changed(layer: int, value: Tensor, layout: Layout) -> Tensor:
        at = layout.begins[tokens[0]] + tokens[1]
        value = value.clone()
        value[at] = torch.where(neurons[tokens[0], layer], given(layer).to(value), value[at])
        return value

    return changed


def values_exchanged(layer: int, order: Int[Tensor, "prompt neuron"]) -> Changed:
    """Neuron n of a layer has the value of neuron `order[p, n]` in prompt p, at every token.

    `order` must be its own inverse, a set of swaps: to swap two rows of the output weights is to
    swap what multiplies them.
    """

    def changed(at: int, value: Tensor, layout: Layout) -> Tensor:
        if at != layer:
            return value
        return value.gather(1, order.to(value.device)[layout.row])

    return changed


def per_prompt(
    values: Float[Tensor, "token neuron"], row: Int[Tensor, " token"], prompts: int
) -> Float[Tensor, "prompt neuron"]:
    """Summed over the tokens of each prompt, on the CPU."""
    found = values.new_zeros(prompts, values.shape[1])
    return found.index_add_(0, row, values).cpu()
