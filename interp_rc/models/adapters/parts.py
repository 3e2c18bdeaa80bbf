"""What a family's adapter says about its modules; nothing else differs between families."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Component = Literal[
    "resid_pre", "pattern", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post"
]
COMPONENTS: tuple[Component, ...] = get_args(Component)  # in the order of computation
STREAM: tuple[Component, ...] = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")

# What attention is told about positions, from the stream and the positions of its tokens.
Positions = Callable[[Float[Tensor, "1 token width"], Int[Tensor, "1 token"], int], dict[str, Any]]


class Place(NamedTuple):
    """A component of one layer; layers count from 0. Or a module by its name, layer 0."""

    component: Component | str
    layer: int

    @property
    def is_module(self) -> bool:
        return self.component not in COMPONENTS

    @property
    def name(self) -> str:
        return f"{self.component} of layer {self.layer}"


Activations = dict[Place, Float[Tensor, "batch pos width"]]


@dataclass(frozen=True, slots=True)
class Edit:
    """New values at some positions of some rows of a batch, at one place."""

    rows: Int[Tensor, " edit"]
    positions: Int[Tensor, " edit"]
    values: Float[Tensor, "edit width"]


class Block(NamedTuple):
    """One layer.

    Attention reads the stream through `attention_norm`; `project` turns what its heads give (z)
    into what is added, through `after_attention`. The MLP reads through `mlp_norm`; `up`, times the
    activated `gate` where there is one, makes its neurons (mlp_post), and `down` turns them into
    what is added, through `after_mlp`. Where the stream itself is
    normed after each sum (BERT), that is `mid_norm` and `end_norm`. None: as it is. In a
    `parallel` layer attention and MLP both read the stream before it.
    """

    whole: nn.Module
    attention_norm: nn.Module | None
    attention: nn.Module
    project: nn.Module
    mlp_norm: nn.Module | None
    mlp: nn.Module
    down: nn.Module
    after_attention: nn.Module | None = None
    after_mlp: nn.Module | None = None
    mid_norm: nn.Module | None = None
    end_norm: nn.Module | None = None
    up: nn.Module | None = None
    gate: nn.Module | None = None
    parallel: bool = False
    projects: bool = True  # whether `attention` calls `project` itself

    @property
    def adds_attention(self) -> nn.Module:
        """Whose output attention adds to the stream."""
        return self.after_attention or self.project

    @property
    def adds_mlp(self) -> nn.Module:
        """Whose output the MLP adds to the stream."""
        return self.after_mlp or self.down


class Parts(NamedTuple):
    """The modules of a language model, from the input to the logits."""

    embeddings: list[nn.Embedding]
    blocks: list[Block]
    final_norm: nn.Module | None
    head: nn.Module
    positions: Positions
    softcap: float | None = None  # of the logits: c tanh(x / c)
    causal: bool = True
    known: bool = True  # or found by names: then `logits` does not hold

    def logits(self, stream: Float[Tensor, "*token width"]) -> Float[Tensor, "*token vocabulary"]:
        """What the last layer's output becomes."""
        found = self.head(through(self.final_norm, stream))
        return found if self.softcap is None else self.softcap * torch.tanh(found / self.softcap)


def through(module: nn.Module | None, value: Tensor) -> Tensor:
    return value if module is None else module(value)


def in_embeddings(stream: Tensor, positions: Tensor, layer: int) -> dict[str, Any]:
    """Of models whose embeddings hold the positions: attention is told nothing."""
    return {}
