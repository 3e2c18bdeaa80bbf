"""What a model keeps between forward passes, besides what it hands to its caller.

A causal model should read a text alike whatever was read before it, beside it or in another thread.
Two things break that. Modules may keep a state of their own (RecurrentGemma's recurrent units;
frequencies of rotary positions that are computed anew), on which threads race. And LongRoPE
(Ding et al. 2024, arXiv:2402.13753) reads every position of a batch in another way as soon as its
longest text passes a length.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from interp_rc.records.errors import ScoringError

PLAIN = (DynamicLayer, DynamicSlidingWindowLayer)
"""Layers of a cache that hold keys and values alone. Those of state spaces, convolutions or
indexed attention keep more, which cannot be repeated or continued by several tokens at once."""

LEFT_OVER = ("xlstm",)
TOKENS = 12  # of the text on which a cache is tried

_CONTINUES: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_KEEPS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def can_continue(model: PreTrainedModel) -> bool:
    """Whether reading on from cached keys and values gives what reading the whole text does.

    Shown once per model on a random text, after the cache that its configuration asks for: some
    models with a linear layer fail where they are asked for a cache and have no other kind.
    """
    if model not in _CONTINUES:
        _CONTINUES[model] = _plain_by_configuration(model) and _continues_alike(model)
    return _CONTINUES[model]


def _plain_by_configuration(model: PreTrainedModel) -> bool:
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return True  # the cache that comes back decides
    return all(type(layer) in PLAIN for layer in layers)


@torch.no_grad()
def _continues_alike(model: PreTrainedModel) -> bool:
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (1, TOKENS), generator=draw).to(model.device)
    try:
        whole = model(input_ids=ids, use_cache=False).logits
        cache = plain_cache(model(input_ids=ids[:, : TOKENS // 2], use_cache=True))
        if cache is None:
            return False
        rest = {"input_ids": ids[:, TOKENS // 2 :], "past_key_values": cache, "use_cache": True}
        off = (model(**rest).logits - whole[:, TOKENS // 2 :]).abs().mean()
    except Exception:  # whatever an architecture makes of it: it is read from the beginning then
        return False
    rounding = min(200 * torch.finfo(whole.dtype).eps, 0.05)
    return bool(off <= rounding * whole[whole.isfinite()].abs().max())


def refuse_left_over(model: PreTrainedModel) -> None:
    """Raises ScoringError for a family that meets what another text left in its modules."""
    if model.config.model_type in LEFT_OVER:
        raise ScoringError(
            f"a model of type {model.config.model_type} keeps the state of the batch before in its "
            "modules, where the next one meets it; ask a model of another family"
        )


def plain_cache(output: Mapping[str, Any]) -> DynamicCache | None:
    """The keys and values that a forward pass gives, if every layer of its cache is plain."""
    cache: object = output.get("past_key_values")
    if not isinstance(cache, DynamicCache) or type(cache) is not DynamicCache or not cache.layers:
        return None
    return cache if all(type(layer) in PLAIN for layer in cache.layers) else None


def reads_alike_up_to(model: PreTrainedModel) -> int | None:
    """Find the longest text, in tokens, that is read alike whatever stands beside it.

    Returns:
        None where there is no such limit: all models but those with LongRoPE.
    """
    rope = getattr(model.config.get_text_config(decoder=True), "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, Mapping))]
    limits = [
        int(kind["original_max_position_embeddings"])
        for kind in kinds
        if kind.get("rope_type") == "longrope" and kind.get("original_max_position_embeddings")
    ]
    return min(limits, default=None)


def keeps_state(model: nn.Module) -> bool:
    """Whether a forward pass was seen to leave something behind in the model's modules."""
    return _KEEPS.get(model, False)


def must_be_watched(model: nn.Module) -> bool:
    """Whether it is one of Transformers' models, of which no forward pass was watched yet."""
    return hasattr(model, "config") and model not in _KEEPS


@contextmanager
def watching(model: nn.Module) -> Iterator[None]:
    """Watch one forward pass or more for what they leave behind in the model's modules.

    `keeps_state` says afterwards whether there was anything.
    """
    before = list(_state(model))
    try:
        yield
    finally:
        _KEEPS[model] = keeps_state(model) or not _same(before, list(_state(model)))


class _Item(NamedTuple):
    """A value among a module's attributes; `version` counts what was written into a tensor."""

    module: int
    name: str
    value: Tensor | float
    version: int = 0


def _state(model: nn.Module) -> Iterator[_Item]:
    """Every buffer, and every tensor or number among the attributes, of every module."""
    for number, module in enumerate(model.modules()):
        for name, value in [*module._buffers.items(), *vars(module).items()]:
            if isinstance(value, Tensor):
                version = 0 if value.is_inference() else value._version
                yield _Item(number, name, value, version)
            elif isinstance(value, int | float) and name != "training":
                yield _Item(number, name, value)


def _same(before: list[_Item], after: list[_Item]) -> bool:
    return len(before) == len(after) and all(
        (one.module, one.name, one.version) == (other.module, other.name, other.version)
        and (one.value is other.value or not _differ(one.value, other.value))
        for one, other in zip(before, after, strict=True)
    )


def _differ(one: Tensor | float, other: Tensor | float) -> bool:
    return isinstance(one, Tensor) or isinstance(other, Tensor) or one != other
