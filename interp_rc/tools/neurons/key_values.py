"""The keys and values of a layer's neurons, and the words that a value promotes."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.tools.readout.linear_parts import at_unit_scale, matrix_of


class KeyValues(NamedTuple):
    """Row n belongs to neuron n.

    What the MLP reads (x) makes the coefficient act(keys x + b), or, in gated MLPs, where `gates`
    are the rows that are activated, act(gates x) · (keys x). The coefficient times `values` is what
    the neuron writes (in Gemma 2 and 3 a norm of the whole sum follows).
    """

    keys: Float[Tensor, "neuron width"]
    gates: Float[Tensor, "neuron width"] | None
    values: Float[Tensor, "neuron width"]


@torch.no_grad()
def key_values(adapter: Adapter, layer: int) -> KeyValues:
    """Those of one layer, as the model applies them: with its LoRA adapters, if it has any.

    Raises ModelError for a family that no adapter knows.
    """
    block = adapter.by_layers.parts.blocks[layer]
    if block.up is None:
        raise ModelError(
            f"the adapter of {adapter.model.config.model_type!r} does not say where keys are"
        )
    keys = matrix_of(block.up).T
    gates = None if block.gate is None else matrix_of(block.gate).T
    return KeyValues(keys, gates, matrix_of(block.down))


class Promoted(NamedTuple):
    """A token that a value promotes, and its score: the product of value and output row."""

    token: str
    score: float


@torch.no_grad()
def promoted(model: Loaded, layer: int, neuron: int, k: int = 10) -> list[Promoted]:
    """The `k` tokens that a neuron's value raises most where its coefficient is positive.

    The value, through the last norm but for its scale, times the output rows (Geva et al. 2022,
    arXiv:2203.14680, section 3). Negative coefficients raise the last ones instead.
    """
    adapter = Adapter(model.model)
    value = key_values(adapter, layer).values[neuron]
    scores = promotes(adapter, value[None])[0]
    found = scores.topk(min(k, len(scores)))
    tokens = [model.tokenizer.decode([token]) for token in found.indices.tolist()]
    return [Promoted(*one) for one in zip(tokens, found.values.tolist(), strict=True)]


@torch.no_grad()
def promotes(
    adapter: Adapter, vectors: Float[Tensor, "vector width"]
) -> Float[Tensor, "vector vocabulary"]:
    """Vectors in the stream, as scores of the vocabulary.

    They go through the last norm, but for its scale, which is the same for all words, and through
    the output rows. Raises ModelError for a norm that is neither LayerNorm nor an RMS norm.
    """
    rows = adapter.model.get_output_embeddings().weight
    return at_unit_scale(adapter.parts.final_norm, vectors).to(rows) @ rows.T
