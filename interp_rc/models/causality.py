"""Proof that a model goes on from the left: no token may move what stands before it.

A class name proves nothing: BERT's language model head reads the whole text unless its
configuration says `is_decoder`, and would then be scored with the answer in view.
"""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import MODEL_FOR_MASKED_LM_MAPPING, PreTrainedConfig, PreTrainedModel

from interp_rc.models.evaluating import evaluating
from interp_rc.models.finite import check_finite
from interp_rc.models.machine import device_of
from interp_rc.models.masked import is_masked
from interp_rc.models.soft_prompt import context_of
from interp_rc.records.errors import InterpError, ModelError, ScoringError

TOKENS = 16
CUTS = (1, TOKENS // 2, TOKENS - 1)  # all tokens from here on are changed
DRAWS = 2  # texts for each cut: tokens of like embeddings would change nothing
ROUNDING = 200  # machine epsilons of the largest logit: no gradient has to be asked beyond

_PROVEN: WeakKeyDictionary[nn.Module, object] = WeakKeyDictionary()


def prove_causal(model: PreTrainedModel) -> None:
    """Show once per model that changing later tokens leaves all earlier logits where they are.

    The proof is made anew when the configuration changes, and kept only where tokens move later
    logits: weights that mix no tokens (all zero) show nothing about what they may learn.

    Raises ScoringError for a model that reads ahead, that has an encoder or whose output is not
    one logit per token of the vocabulary: it would be asked with the answer in view, or not at all.
    Raises ModelError for logits that are NaN, naming the weights if they are.
    """
    state = _state_of(model.config)
    if _PROVEN.get(model) == state:
        return
    if model.config.is_encoder_decoder:
        raise _refusal(
            model, "reads its prompt in an encoder and does not go on from it; ask a causal model"
        )
    if is_masked(model):
        raise _refusal(
            model,
            "fills in masks and does not go on from a prompt; look into it with patch, or ask a "
            "causal language model",
        )
    with evaluating(model):
        if _mixes_and_is_causal(model):
            _PROVEN[model] = state


def _state_of(config: PreTrainedConfig) -> object:
    return config.to_json_string(use_diff=False), config._attn_implementation


def _mixes_and_is_causal(model: PreTrainedModel) -> bool:
    """Whether earlier tokens move later logits; ScoringError if later ones move earlier ones."""
    base, other, before = _texts(model)
    if base.shape[1] < 2:
        return False
    own = _logits(model, base)
    if own.isnan().any():
        kind = f"a model of type {model.config.model_type}"
        check_finite(model, kind)
        raise ModelError(f"{kind} gives NaN for logits, and its weights are numbers; use float32")
    ahead = _moved(_logits(model, base.where(before, other)), own).where(before, 0)
    behind = _moved(_logits(model, other.where(before, base)), own).where(~before, 0)
    scale = own[own.isfinite()].abs().max().clamp(min=1e-30)
    rounding = ROUNDING * torch.finfo(own.dtype).eps * scale
    if ahead.max() > rounding or (ahead.max() > 0 and _gradient_ahead(model, base, before)):
        row, position = divmod(int(ahead.argmax()), ahead.shape[1])
        raise _refusal(
            model,
            f"reads ahead: its logits at position {position} move by {ahead.max():.2g} when tokens "
            f"from position {int(before[row].sum())} on are replaced, so it would be asked with "
            f"the answer in view; {_remedy(model)}",
        )
    return bool(behind.max() > 0)


def _texts(
    model: PreTrainedModel,
) -> tuple[Int[Tensor, "text pos"], Int[Tensor, "text pos"], Tensor]:
    """Random texts, others that differ from them at every position, and what is before the cut."""
    context = context_of(model)
    length = TOKENS if context is None or context < 1 else min(TOKENS, context)
    vocabulary = plain_tokens(model)
    draw = torch.Generator().manual_seed(0)
    cuts = sorted({min(cut, length - 1) for cut in CUTS} - {0})
    before = torch.arange(length) < torch.tensor(cuts).repeat(DRAWS)[:, None]
    if len(vocabulary) < 2:
        length, before = 0, before[:, :0]
    shape = (len(before), length)
    first = torch.randint(max(len(vocabulary), 1), shape, generator=draw)
    shift = torch.randint(1, max(len(vocabulary), 2), shape, generator=draw)
    device = device_of(model)
    base, other = vocabulary[first], vocabulary[(first + shift) % max(len(vocabulary), 1)]
    return base.to(device), other.to(device), before.to(device)


def plain_tokens(model: PreTrainedModel) -> Int[Tensor, " token"]:
    """Ids of plain tokens: special ones (padding, images) may be read as something else."""
    config = model.config.get_text_config(decoder=True)
    rows = getattr(model.get_input_embeddings(), "num_embeddings", config.vocab_size)
    special = {
        value
        for part in (config, model.config)
        for name, value in part.to_dict().items()
        if name.endswith(("token_id", "token_index")) and isinstance(value, int)
    }
    every = range(min(rows, config.vocab_size))
    plain = [id for id in every if id not in special]
    return torch.tensor(plain if len(plain) > 1 else [*every])


@torch.no_grad()
def _logits(
    model: PreTrainedModel, ids: Int[Tensor, "text pos"]
) -> Float[Tensor, "text pos vocabulary"]:
    return _logits_of(model, ids)


def _logits_of(model: PreTrainedModel, ids: Tensor) -> Tensor:
    try:
        logits = model(input_ids=ids, use_cache=False).logits
    except InterpError:  # says itself what is wrong
        raise
    except Exception as error:  # whatever the architecture makes of token ids alone
        reason = (str(error).strip().splitlines() or [""])[0]
        raise _refusal(
            model,
            f"cannot be asked for the next token from token ids alone ({type(error).__name__}: "
            f"{reason}); ask a causal language model",
        ) from error
    rows = model.config.get_text_config(decoder=True).vocab_size
    fits = isinstance(logits, Tensor) and logits.shape[:2] == ids.shape and logits.ndim == 3
    if not fits or logits.shape[2] < rows:
        raise _refusal(
            model,
            f"gives no logit for each of its {rows} tokens at every position, so that it says "
            "nothing of what comes next; ask a causal language model",
        )
    return logits


def _moved(
    after: Float[Tensor, "text pos vocabulary"], own: Float[Tensor, "text pos vocabulary"]
) -> Float[Tensor, "text pos"]:
    """The largest difference at each position; logits may be minus infinity in both."""
    return (after - own).abs().where(after != own, 0).nan_to_num(nan=torch.inf).amax(-1)


def _gradient_ahead(model: PreTrainedModel, ids: Int[Tensor, "text pos"], before: Tensor) -> bool:
    """Whether logits before the cut have a gradient for what is read after it.

    Rounding can differ with the company that a token has (experts are given tokens in groups), in
    half precision by more than a small model's reading ahead; the gradient is then exactly zero.
    """
    embedded: list[Tensor] = []

    def keep(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        embedded.append(out.detach().requires_grad_(True))
        return embedded[0]

    handle = model.get_input_embeddings().register_forward_hook(keep)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            early = _logits_of(model, ids.clone())[before]
            draw = torch.Generator().manual_seed(0)
            weights = torch.randn(early.shape, generator=draw).to(early)
            (gradient,) = torch.autograd.grad((early * weights).nan_to_num().sum(), embedded[:1])
    finally:
        handle.remove()
    if gradient.shape[:2] != ids.shape:  # XLNet reads positions first
        gradient = gradient.transpose(0, 1)
    return bool((gradient.abs().amax(-1) > 0)[~before].any())


def _remedy(model: PreTrainedModel) -> str:
    config = type(model.config)
    if config not in MODEL_FOR_MASKED_LM_MAPPING:
        return (
            "ask a causal language model (one whose family is an encoder's has to have "
            '"is_decoder": true in its config.json)'
        )
    masked = MODEL_FOR_MASKED_LM_MAPPING[config].__name__
    return (
        'write "is_decoder": true into its config.json if it was trained from left to right; if it '
        f'fills in masks, write "architectures": ["{masked}"] and look into it with patch'
    )


def _refusal(model: PreTrainedModel, what: str) -> ScoringError:
    return ScoringError(f"a model of type {model.config.model_type} {what}")
