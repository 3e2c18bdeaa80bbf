"""What each part of a finetuning difference adds to log p(target | prompt)."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from interp_rc.engine.inputs import Input, read_inputs, target_log_probs
from interp_rc.engine.memory import MOST, TOKENS, default_memory
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.batching import batch_by_length, pad
from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.tools.gradients.parameter_groups import ParameterGroup, module_groups
from interp_rc.tools.weights.exchange import check_alike, weights_of

POINTS = 8
LINEAR = (nn.Linear, Conv1D, nn.Embedding)  # in their weights; norms may be affine
Difference = dict[str, Tensor]
Values = Float[Tensor, "item group"]


class Readout(NamedTuple):
    """In nats, an item a row and a group of parameters a column.

    `path` adds up over groups to `whole` = log p under the finetuned model - log p under the base,
    but for what the quadrature leaves; `base` and `finetuned` are the first-order parts at the two
    ends, <gradient there, difference>.
    """

    groups: list[ParameterGroup]
    base: Values
    path: Values
    finetuned: Values
    whole: Float[Tensor, " item"]


class _Leaf(NamedTuple):
    module: nn.Module
    change: Difference
    group: int


class _Call(NamedTuple):
    """One use of a module in a forward pass."""

    leaf: _Leaf
    given: Tensor
    out: Tensor


def update_readouts(
    base: Loaded,
    finetuned: Loaded,
    prompts: Sequence[str],
    targets: Sequence[str],
    *,
    points: int = POINTS,
    memory: int | None = None,
) -> Readout:
    """Attribute what finetuning changed in log p(target | prompt) to groups of its parameters.

    On the straight line from the base's weights to the finetuned ones, a group gets the integral
    of <gradient of log p, its part of the difference> (integrated gradients, Sundararajan et al.
    2017, arXiv:1703.01365, eq. 1, with weights in the place of inputs), by `points` Gauss-Legendre
    points. At the base itself the product is x_A' dW y_B, summed over matrices and tokens: what a
    matrix's input in the prompt about A and its output's pull on B read out of the difference.
    The two uses of a tied matrix are told apart. Neither model is changed; `memory` in bytes.

    Raises ModelError for models that are not the same but for their values, or with LoRA adapters
    in them; ScoringError for masked ones.
    """
    difference = _difference(base, finetuned)
    mixed = copy.deepcopy(base.model).requires_grad_(False)
    leaves, groups = _leaves(mixed, difference)
    inputs = read_inputs(base, prompts, targets)
    batches = _batches(inputs, mixed, memory)
    nodes, weights = np.polynomial.legendre.leggauss(points)
    shares = [0.0, *((nodes + 1) / 2).tolist(), 1.0]
    found, ends = [], []
    with tqdm(total=len(shares) * len(inputs), desc="update readout", disable=None) as bar:
        for share in shares:
            _set(mixed, base.model, finetuned.model, share)
            values = torch.zeros(len(inputs), len(groups), dtype=torch.float64)
            nats = torch.zeros(len(inputs), dtype=torch.float64)
            for numbers in batches:
                some = [inputs[i] for i in numbers]
                values[numbers], nats[numbers] = _directional(mixed, leaves, len(groups), some)
                bar.update(len(numbers))
            found.append(values)
            ends.append(nats)
    within = torch.tensor(weights / 2)
    path = torch.einsum("p,pig->ig", within, torch.stack(found[1:-1]))
    return Readout(groups, found[0], path, found[-1], ends[-1] - ends[0])


def _difference(base: Loaded, finetuned: Loaded) -> Difference:
    """Finetuned less base, by the names of modules' own parameters."""
    check_alike(base, finetuned)
    theirs = weights_of(finetuned)
    return {name: theirs[name] - own.to(theirs[name]) for name, own in weights_of(base).items()}


def _leaves(
    model: PreTrainedModel, difference: Difference
) -> tuple[list[_Leaf], list[ParameterGroup]]:
    by_module = module_groups(model, Adapter(model).parts)
    groups = list(dict.fromkeys(by_module.values()))
    leaves = []
    for name, module in model.named_modules():
        own = [n for n, _ in module.named_parameters(recurse=False)]
        if own:
            change = {n: difference[f"{name}.{n}"].to(model.device) for n in own}
            leaves.append(_Leaf(module, change, groups.index(by_module[module])))
    return leaves, groups


@torch.no_grad()
def _set(
    mixed: PreTrainedModel, base: PreTrainedModel, finetuned: PreTrainedModel, share: float
) -> None:
    ends = zip(mixed.parameters(), base.parameters(), finetuned.parameters(), strict=True)
    for parameter, one, other in ends:
        parameter.copy_(one.lerp(other.to(one), share))


def _directional(
    model: PreTrainedModel, leaves: Sequence[_Leaf], groups: int, inputs: Sequence[Input]
) -> tuple[Values, Float[Tensor, " item"]]:
    """<gradient of log p, difference> by group, of every input; and log p.

    A module's output is affine in its weights. So the product is that of the output's gradient
    with the output that the difference alone makes of the same input: one backward pass serves
    all inputs, and no gradient of a weight is ever made.
    """
    ids, mask = pad([one.ids for one in inputs], model.device)
    # Given for each row, so that learnt positions are read row by row, too.
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    with evaluating(model), torch.enable_grad(), _watched(leaves) as calls:
        out = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
        nats = target_log_probs(out.logits, inputs)
        pulls = torch.autograd.grad(nats.sum(), [call.out for call in calls])
    found = torch.zeros(len(inputs), groups, dtype=torch.float64)
    with torch.no_grad():
        for call, pull in zip(calls, pulls, strict=True):
            product = pull.double() * _made(call).double()
            found[:, call.leaf.group] += product.flatten(1).sum(1).cpu()
    return found, nats.detach()


def _made(call: _Call) -> Tensor:
    """What the difference adds to the output, for the input as it is."""
    module, change = call.leaf.module, call.leaf.change
    made: Tensor = functional_call(module, change, (call.given,))
    if isinstance(module, LINEAR):
        return made
    nothing = {name: torch.zeros_like(value) for name, value in change.items()}
    return made - functional_call(module, nothing, (call.given,))


@contextmanager
def _watched(leaves: Sequence[_Leaf]) -> Iterator[list[_Call]]:
    calls: list[_Call] = []
    with ExitStack() as stack:
        for leaf in leaves:

            def at_output(_: nn.Module, args: Any, out: Tensor, leaf: _Leaf = leaf) -> Tensor:
                out = out if out.requires_grad else out.requires_grad_()
                calls.append(_Call(leaf, args[0].detach(), out))
                return out

            stack.callback(leaf.module.register_forward_hook(at_output).remove)
        yield calls


def _batches(
    inputs: Sequence[Input], model: PreTrainedModel, memory: int | None
) -> list[list[int]]:
    """Inputs of like length together, as many as keep what is held within `memory`."""
    memory = default_memory(model.device) if memory is None else memory
    values = sum(sum(p.shape) if p.ndim > 1 else 2 * len(p) for p in model.parameters())
    # Input, output, gradient, and what the difference makes.
    tokens = memory // (4 * values * model.dtype.itemsize)
    tokens = min(tokens, TOKENS.get(model.device.type, MOST))
    lengths = [len(one.ids) for one in inputs]
    return batch_by_length(model, lengths, lambda some: len(some) * lengths[some[-1]] <= tokens)
