"""What is measured of a prompt's target: from the logits that predict its tokens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.engine.inputs import Input
from interp_rc.engine.names import Metric
from interp_rc.models.dimensions import vocabulary_of
from interp_rc.models.scoring import log_probs_of

LOGITS = 2**24  # that are made at once, at the most: more make no core faster

Logits = Float[Tensor, "token vocabulary"]


@dataclass(slots=True)
class Asked:
    """What should be predicted at each token of some prompts.

    `reference` holds, for the divergence, the clean run's log-probabilities of the tokens that are
    read, in order.
    """

    read: Bool[Tensor, "prompt position"]
    target: Int[Tensor, "prompt position"]
    foil: Int[Tensor, "prompt position"] | None = None
    reference: Float[Tensor, "read vocabulary"] | None = None
    first: Sequence[int] = ()  # that is read, of each prompt
    at_once: int = LOGITS  # what memory allows

    @classmethod
    def of(cls, inputs: Sequence[Input], positions: int, device: torch.device) -> "Asked":
        read = torch.zeros(len(inputs), positions, dtype=torch.bool)
        target = torch.zeros(len(inputs), positions, dtype=torch.long)
        foil = torch.zeros_like(target)
        for row, one in enumerate(inputs):
            read[row, one.reads] = True
            target[row, one.reads] = torch.tensor(one.targets)
            if one.foils:
                foil[row, one.reads] = torch.tensor(one.foils)
        first = [min(one.reads) for one in inputs]
        return cls(read.to(device), target.to(device), foil.to(device), first=first)


class Unembeds(Protocol):
    """Makes logits of what the last layer gives."""

    model: PreTrainedModel

    def logits(self, stream: Float[Tensor, "token width"]) -> Logits: ...


class _Rule(NamedTuple):
    of_token: Callable[[Logits, Asked, tuple[Tensor, Tensor]], Float[Tensor, " token"]]
    of_row: Literal["sum", "amax"]
    finish: Callable[[Tensor], Tensor] = lambda value: value


def _log_prob(logits: Logits, asked: Asked, at: tuple[Tensor, Tensor]) -> Float[Tensor, " token"]:
    return log_probs_of(logits, asked.target[at])


def _logit_difference(
    logits: Logits, asked: Asked, at: tuple[Tensor, Tensor]
) -> Float[Tensor, " token"]:
    assert asked.foil is not None
    both = logits.gather(-1, torch.stack([asked.target[at], asked.foil[at]], -1))
    return both[:, 0] - both[:, 1]


def _rank(logits: Logits, asked: Asked, at: tuple[Tensor, Tensor]) -> Float[Tensor, " token"]:
    return 1 + (logits > logits.gather(-1, asked.target[at][:, None])).sum(-1)


def _kl(logits: Logits, asked: Asked, at: tuple[Tensor, Tensor]) -> Float[Tensor, " token"]:
    assert asked.reference is not None
    number = asked.read.flatten().cumsum(0).view(asked.read.shape)[at] - 1
    clean = asked.reference[number.to(asked.reference.device)].to(logits.device)
    return (clean.exp() * (clean - torch.log_softmax(logits, -1))).sum(-1)


RULES: dict[Metric, _Rule] = {
    "log_prob": _Rule(_log_prob, "sum"),
    "probability": _Rule(_log_prob, "sum", torch.exp),
    "logit_difference": _Rule(_logit_difference, "sum"),
    "rank": _Rule(_rank, "amax"),
    "kl": _Rule(_kl, "sum"),
}
"""Over the target's tokens, teacher-forced: their log-probability, the probability of all of them,
logits of target less foil, the largest rank (1: each token is the likeliest), and the divergence
KL(clean run || this run) of the predictions, in nats."""


def measured(
    metric: Metric,
    layers: Unembeds,
    asked: Asked,
    lines: Float[Tensor, "token width"],
    at: tuple[Int[Tensor, " token"], Int[Tensor, " token"]],
    row: Int[Tensor, " token"],
    rows: int,
) -> Float[Tensor, " row"]:
    """The metric of every row, in float64, from the last layer's output at the tokens `at`
    (prompt, position) that it reads."""
    rule = RULES[metric]
    values = [
        rule.of_token(logits, asked, (at[0][part], at[1][part])).double()
        for part, logits in _unembedded(layers, lines, asked.at_once)
    ]
    found = torch.zeros(rows, dtype=torch.float64, device=lines.device)
    return rule.finish(found.scatter_reduce(0, row, torch.cat(values), rule.of_row))


def log_probs_at(
    layers: Unembeds, lines: Float[Tensor, "token width"]
) -> Float[Tensor, "token vocabulary"]:
    """Of every token of the vocabulary."""
    return torch.cat([torch.log_softmax(logits, -1) for _, logits in _unembedded(layers, lines)])


def _unembedded(
    layers: Unembeds, lines: Float[Tensor, "token width"], at_once: int = LOGITS
) -> Iterator[tuple[slice, Logits]]:
    """Logits in parts that fit into memory, in float32 at least."""
    step = max(1, min(at_once, LOGITS) // vocabulary_of(layers.model))
    for begin in range(0, len(lines), step):
        part = slice(begin, begin + step)
        logits = layers.logits(lines[part])
        yield part, logits.to(torch.promote_types(logits.dtype, torch.float32))
