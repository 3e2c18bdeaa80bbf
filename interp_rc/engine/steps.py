"""Runs of a prompt with changes: which places are given what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.waves import Unit
from interp_rc.models.adapters.parts import Place


class Step(NamedTuple):
    """What one place is given: values from positions `reads`, put at positions `writes`."""

    place: Place
    reads: Sequence[int]
    writes: Sequence[int]
    unit: Unit = None


@dataclass(slots=True)
class ChangedRun:
    """Changes to one run of the prompt `base`, which are measured together; `key` says of which
    case and patch.

    In the layers of `blocked` its queries (positions) do not see the keys (positions). Equal steps
    are given equal values in runs with the same `where`.
    """

    key: tuple[int, int]
    base: int
    steps: Sequence[Step]
    where: object = None
    blocked: Mapping[int, tuple[Sequence[int], Sequence[int]]] = field(default_factory=dict)


class Token(NamedTuple):
    """Tokens that are to be changed, one an entry: prompts, and where values come from and go."""

    runs: Sequence[ChangedRun]
    base: Tensor
    read: Tensor
    write: Tensor

    def some(self, numbers: Sequence[int]) -> "Token":
        """Those of these numbers."""
        rest = (one[list(numbers)] for one in (self.base, self.read, self.write))
        return Token([self.runs[n] for n in numbers], *rest)


Give = Callable[[Place, Token], Float[Tensor, "token ..."]]
"""The new values of a place, whole, of which a unit's are taken."""


def token_of(taking: Cached, runs: Sequence[ChangedRun], steps: Sequence[Step]) -> Token:
    device = taking.lengths.device
    both = list(zip(runs, steps, strict=True))
    return Token(
        [run for run, step in both for _ in step.writes],
        torch.tensor([run.base for run, step in both for _ in step.writes], device=device),
        torch.tensor([t for step in steps for t in step.reads], device=device),
        torch.tensor([t for step in steps for t in step.writes], device=device),
    )
