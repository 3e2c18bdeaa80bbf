"""Gradients of target log-probabilities, by group of parameters, and cosines between them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.engine.inputs import Input, logits_of, target_log_probs
from interp_rc.models.adapters.parts import Parts

MEMORY = 2**30  # bytes of gradients held at once
AT_ONCE = 10


class ParameterGroup(NamedTuple):
    """Parameters with one job; `layer` is None outside the layers."""

    name: str
    layer: int | None = None


INPUT, OUTPUT, NORMS, ALL = map(ParameterGroup, ("input_embedding", "output_rows", "norms", "all"))

Gradient = list[Tensor]
Rows = list[Float[Tensor, "input size"]]  # by parameter
Times = Callable[[Tensor, Tensor], Tensor]
Products = dict[ParameterGroup, Float[Tensor, "first second"]]


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters of a model, each with its group; `tied` are the places in both lists of the
    two halves of a matrix that the model uses as input embedding and as output rows."""

    tensors: list[nn.Parameter]
    groups: list[ParameterGroup]
    tied: tuple[int, int] | None


@contextmanager
def parameters_of(model: PreTrainedModel, parts: Parts) -> Iterator[Parameters]:
    """The model's parameters by group, all of them open to gradients inside.

    Tied output rows are a matrix of their own inside, with equal values, so that what reaches
    the one matrix through either use is told apart exactly; the two sum to its gradient.
    """
    with untied(parts) as tied:
        groups = _groups(model, parts)
        tensors = [tensor for tensor, _ in groups]
        needed = [tensor.requires_grad for tensor in tensors]
        try:
            for tensor in tensors:
                tensor.requires_grad_(True)
            halves = None
            if tied is not None:
                places = {id(tensor): place for place, tensor in enumerate(tensors)}
                assert isinstance(parts.head.weight, nn.Parameter)
                halves = places[id(tied)], places[id(parts.head.weight)]
            yield Parameters(tensors, [group for _, group in groups], halves)
        finally:
            for tensor, before in zip(tensors, needed, strict=True):
                tensor.requires_grad_(before)


@contextmanager
def untied(parts: Parts) -> Iterator[nn.Parameter | None]:
    """Tied output rows are a matrix of their own inside, with equal values; the one matrix that
    they are again afterwards is given, None where nothing is tied."""
    inputs = chain.from_iterable(module.parameters() for module in parts.embeddings)
    tied = next((p for p in inputs if p is getattr(parts.head, "weight", None)), None)
    if tied is not None:
        parts.head.weight = nn.Parameter(tied.detach().clone(), tied.requires_grad)
    try:
        yield tied
    finally:
        if tied is not None:
            parts.head.weight = tied


def module_groups(model: PreTrainedModel, parts: Parts) -> dict[nn.Module, ParameterGroup]:
    """Of every module; norms, and whatever else belongs to no other group, are `NORMS`."""
    whole: list[tuple[nn.Module, ParameterGroup]] = [(one, INPUT) for one in parts.embeddings]
    for layer, block in enumerate(parts.blocks):
        whole += [
            (block.attention, ParameterGroup("attention", layer)),
            (block.mlp, ParameterGroup("mlp", layer)),
        ]
    whole.append((parts.head, OUTPUT))
    found = {inner: group for module, group in whole for inner in module.modules()}
    return found | {one: NORMS for one in model.modules() if one not in found}


def _groups(model: PreTrainedModel, parts: Parts) -> list[tuple[nn.Parameter, ParameterGroup]]:
    """Norms, and whatever else belongs to no other group, come last."""
    found: dict[int, tuple[nn.Parameter, ParameterGroup]] = {}
    for module, group in module_groups(model, parts).items():
        for parameter in module.parameters(recurse=False):
            found.setdefault(id(parameter), (parameter, group))
    return list(found.values())


def gradient(model: PreTrainedModel, parameters: Parameters, one: Input) -> Gradient:
    """Of -log p(target | prompt), natural log, summed over the target's tokens."""
    with torch.enable_grad():
        loss = -target_log_probs(logits_of(model, [one]), [one]).sum()
        found = torch.autograd.grad(loss, parameters.tensors, allow_unused=True)
    pairs = zip(found, parameters.tensors, strict=True)
    return [torch.zeros_like(p) if g is None else g.detach() for g, p in pairs]


def cosines(
    model: PreTrainedModel,
    parameters: Parameters,
    first: Sequence[Input],
    second: Sequence[Input],
) -> Products:
    """Of each of the first gradients with each of the second, by group; 0 where one vanishes.

    The group `all` is the gradient of the model as it is: tied halves are one matrix there.
    """
    size = sum(p.numel() * p.element_size() for p in parameters.tensors)
    held = min(len(first), max(1, MEMORY // size))
    # Buffers are used again for every block: new memory costs more than what is done with it.
    one, other = _buffers(parameters, held), _buffers(parameters, min(held, len(second), AT_ONCE))
    rows = []
    for some in _blocks(first, len(one[0])):
        left = _filled(model, parameters, some, one)
        columns = [
            _cosines(parameters, left, _filled(model, parameters, others, other))
            for others in _blocks(second, len(other[0]))
        ]
        rows.append({g: torch.cat([found[g] for found in columns], dim=1) for g in columns[0]})
    return {group: torch.cat([found[group] for found in rows]) for group in rows[0]}


def _blocks(inputs: Sequence[Input], held: int) -> list[Sequence[Input]]:
    return [inputs[i : i + held] for i in range(0, len(inputs), held)]


def _buffers(parameters: Parameters, rows: int) -> Rows:
    return [p.detach().new_empty(rows, p.numel()) for p in parameters.tensors]


def _filled(
    model: PreTrainedModel, parameters: Parameters, inputs: Sequence[Input], buffers: Rows
) -> Rows:
    """The first rows of the buffers, each holding one input's gradient."""
    for row, one in enumerate(inputs):
        for buffer, found in zip(buffers, gradient(model, parameters, one), strict=True):
            buffer[row] = found.flatten()
    return [buffer[: len(inputs)] for buffer in buffers]


def _cosines(parameters: Parameters, left: Rows, right: Rows) -> Products:
    products = _summed(parameters, left, right, lambda a, b: a @ b.T)
    one, other = (
        _summed(parameters, side, side, lambda a, b: (a * b).sum(1)) for side in (left, right)
    )
    found = {}
    for group, product in products.items():
        scale = (one[group][:, None] * other[group][None]).clamp(min=0).sqrt()
        found[group] = (product / scale).where(scale > 0, 0.0).cpu()
    return found


def _summed(
    parameters: Parameters, left: Rows, right: Rows, times: Times
) -> dict[ParameterGroup, Tensor]:
    """Inner products by group and, with the cross terms of tied halves, over all parameters."""
    found: dict[ParameterGroup, Tensor] = {}
    for group, a, b in zip(parameters.groups, left, right, strict=True):
        product = times(a, b).double()
        found[group] = found[group] + product if group in found else product
    whole = torch.stack(list(found.values())).sum(0)
    if parameters.tied is not None:
        i, o = parameters.tied
        whole = whole + times(left[i], right[o]).double() + times(left[o], right[i]).double()
    return found | {ALL: whole}
