"""Erased by gradient: weights of the MLPs moved until the fact's lead is gone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from interp_rc.engine.inputs import Input, logits_of, read_inputs, target_log_probs
from interp_rc.measures.erasure.asking import Case, Question, items_of
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.tools.gradients.training_steps import restored

STEP = 0.3  # of the lead, as the gradient promises: the length of a step
STEPS = 12
ROUNDS = 4  # of bisection within the last step
NEAR = 0.02  # of the lead: close enough to where it should fall


@contextmanager
def descended(
    model: Loaded, case: Case, share: float, weights: Sequence[nn.Parameter]
) -> Iterator[tuple[int, bool]]:
    """Inside, the case's lead where it is erased has fallen by `share`; gives the number of steps
    that took, and whether it fell so far. Afterwards all is bit for bit as before.

    Each step makes the answer less likely (gradient ascent on its loss; Jang et al. 2023,
    arXiv:2210.01504, section 3.1) by as much as would, were all linear, take `STEP` of the lead off
    the logarithm of its odds, which do not saturate where the answer is certain; the last step is
    shortened until the lead is where it should be. To go down the lead itself would be no erasure:
    half of it is then lost to the very foils that it is over, which are made likelier.
    """
    with restored(model.model, weights):
        yield _descend(model, case.of("erasing"), share, weights)


def mlp_weights(model: Loaded) -> list[nn.Parameter]:
    """All weights of all MLPs, where look-ups can be stored."""
    blocks = Adapter(model.model).by_layers.parts.blocks
    return [parameter for block in blocks for parameter in block.mlp.parameters()]


def _descend(
    model: Loaded, questions: Sequence[Question], share: float, weights: Sequence[nn.Parameter]
) -> tuple[int, bool]:
    inputs = read_inputs(model, *items_of(questions))
    own = read_inputs(
        model, [one.query.prompt for one in questions], [one.query.target for one in questions]
    )
    for weight in weights:
        weight.requires_grad_(True)
    start = lead_of(model, questions, inputs)
    goal = (1 - share) * start
    if not start > 0:
        return 0, False
    for number in range(1, STEPS + 1):
        gradient = odds_gradient(model, own, weights)
        square = sum(float((one.double() ** 2).sum()) for one in gradient)
        if not square > 0:
            return number - 1, False
        length = STEP * start / square
        _move(weights, gradient, -length)
        if lead_of(model, questions, inputs) <= goal:
            _shorten(model, questions, inputs, weights, gradient, length, goal, NEAR * start)
            return number, True
    return STEPS, False


def odds_gradient(
    model: Loaded, inputs: Sequence[Input], weights: Sequence[nn.Parameter]
) -> list[Tensor]:
    """Of the mean over inputs of log p - log(1 - p), p being the probability of the target: that of
    log p over 1 - p."""
    least = torch.finfo(model.model.dtype).eps  # a log-probability closer to zero is rounding
    with torch.enable_grad():
        log_p = target_log_probs(logits_of(model.model, inputs), inputs)
        doubt = -torch.expm1(log_p.detach()).clamp(max=-least)  # 1 - p
        found = torch.autograd.grad((log_p / doubt).mean(), list(weights), allow_unused=True)
    pairs = zip(found, weights, strict=True)
    return [torch.zeros_like(w) if g is None else g for g, w in pairs]


@torch.no_grad()
def lead_of(model: Loaded, questions: Sequence[Question], inputs: Sequence[Input]) -> float:
    """The mean lead over questions [nat], from one pass; `inputs` are those of `items_of`."""
    values = target_log_probs(logits_of(model.model, inputs), inputs)
    leads, at = [], 0
    for one in questions:
        foils = values[at + 1 : at + 1 + len(one.foils)]
        leads.append(values[at] - foils.mean())
        at += len(one.targets)
    return float(torch.stack(leads).mean())


@torch.no_grad()
def _shorten(
    model: Loaded,
    questions: Sequence[Question],
    inputs: Sequence[Input],
    weights: Sequence[nn.Parameter],
    gradient: Sequence[Tensor],
    length: float,
    goal: float,
    near: float,
) -> None:
    """Back along the last step to where the lead is at the goal."""
    low, high, now = 0.0, 1.0, 1.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        _move(weights, gradient, length * (now - middle))
        now = middle
        lead = lead_of(model, questions, inputs)
        if abs(lead - goal) < near:
            return
        low, high = (low, middle) if lead < goal else (middle, high)


@torch.no_grad()
def _move(weights: Sequence[nn.Parameter], along: Sequence[Tensor], by: float) -> None:
    for weight, one in zip(weights, along, strict=True):
        weight.add_(one, alpha=by)
