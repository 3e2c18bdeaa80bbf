"""What a family's adapter says about its modules; nothing else differs between families."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

from jaxtyping import Float, Int
from torch import Tensor, nn

Component = Literal[
    "resid_pre", "pattern", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post"
]
COMPONENTS: tuple[Component, ...] = get_args(Component)  # in the order of computation
# What is as wide as the residual stream: the others lie inside attention and MLP.
STREAM: tuple[Component, ...] = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")

# What attention is told about positions, from the stream and the positions of its tokens.
Positions = Callable[[Float[Tensor, "1 token width"], Int[Tensor, "1 token"], int], dict[str, Any]]


class Place(NamedTuple):
    """A component of one layer; layers count from 0."""

    component: Component
    layer: int


class Block(NamedTuple):
    """One layer: what attention and MLP are read through, themselves, and what they are added
    through (None: as they are). In a `parallel` one both read the stream before the layer."""

    whole: nn.Module
    attention_norm: nn.Module
    attention: nn.Module
    mlp_norm: nn.Module
    mlp: nn.Module
    after_attention: nn.Module | None = None
    after_mlp: nn.Module | None = None
    parallel: bool = False

    @property
    def before_mlp(self) -> nn.Module | None:
        """The norm that reads the stream between attention and MLP, if there is such a place."""
        return None if self.parallel else self.mlp_norm


class Parts(NamedTuple):
    """The modules of a causal language model, from the input to the logits."""

    embeddings: list[nn.Embedding]
    blocks: list[Block]
    final_norm: nn.Module
    head: nn.Module
    positions: Positions
