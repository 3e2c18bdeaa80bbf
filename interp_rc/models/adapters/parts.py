"""What a family's adapter says about its modules; nothing else differs between families."""

from typing import Literal, NamedTuple, get_args

from torch import nn

Component = Literal["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]
COMPONENTS: tuple[Component, ...] = get_args(Component)  # in the order of computation


class Place(NamedTuple):
    """A component of one layer; layers count from 0."""

    component: Component
    layer: int


class Block(NamedTuple):
    """One layer. `before_mlp` is the norm that reads the stream between attention and MLP; None
    where both read the stream before the layer, which then has no `resid_mid`."""

    whole: nn.Module
    attention: nn.Module
    mlp: nn.Module
    before_mlp: nn.Module | None


class Parts(NamedTuple):
    """The modules of a causal language model, from the input to the logits."""

    embeddings: list[nn.Embedding]
    blocks: list[Block]
    final_norm: nn.Module
    head: nn.Module
