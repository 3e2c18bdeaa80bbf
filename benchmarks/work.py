"""What the speed benchmarks run on: a GPT-2 with random weights, prompts, and hooks into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from tokenizers import Tokenizer as WordTokenizer
from tokenizers import models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded

SAME = 5  # tokens at the beginning that both prompts share


@dataclass(frozen=True)
class Setting:
    """Sizes; `pairs` of prompts with `tokens` each."""

    vocabulary: int
    pairs: int
    layers: int
    width: int
    tokens: int


class Work:
    """A model, and prompts in pairs that differ from position SAME on; targets of one token."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.layers, self.tokens, self.pairs = setting.layers, setting.tokens, setting.pairs
        vocabulary, shape = setting.vocabulary, (2, setting.pairs, setting.tokens)
        size = Size(
            shape="gpt2",
            layers=setting.layers,
            width=setting.width,
            heads=4,
            context=setting.tokens + 1,
        )
        config = model_config(size, vocabulary, bos=0, eos=0, pad=0)
        self.loaded = Loaded(build_model(config, seed=0).eval(), _tokenizer(vocabulary))
        draw = torch.Generator().manual_seed(0)
        self.clean, self.corrupted = torch.randint(vocabulary, shape, generator=draw)
        self.clean[:, :SAME] = self.corrupted[:, :SAME]
        self.target = torch.randint(vocabulary, (setting.pairs,), generator=draw)

    def metric(self, logits: Float[Tensor, "row token vocabulary"]) -> Float[Tensor, " row"]:
        """The target's log-probability after each row; rows are the pairs, again and again."""
        target = self.target.repeat(len(logits) // self.pairs)
        found = logits[:, -1].double()
        return found.gather(1, target[:, None])[:, 0] - found.logsumexp(-1)


def _tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    words = {f"w{i}": i for i in range(vocabulary)}
    tokenizer = WordTokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="w0", eos_token="w0")


@contextmanager
def hook(
    work: Work, component: str, layer: int, change: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Read or replace one activation in the model's forward passes."""
    block = work.loaded.model.transformer.h[layer]

    def at_input(_: Any, args: Any) -> Any:
        new = change(args[0])
        return None if new is None else (new, *args[1:])

    def at_output(_: Any, __: Any, out: Any) -> Any:
        new = change(out[0] if isinstance(out, tuple) else out)
        if new is None:
            return None
        return (new, *out[1:]) if isinstance(out, tuple) else new

    if component == "resid_pre":
        handle = block.register_forward_pre_hook(at_input)
    else:
        modules = {"attn_out": block.attn, "mlp_out": block.mlp, "resid_post": block}
        handle = modules[component].register_forward_hook(at_output)
    try:
        yield
    finally:
        handle.remove()
