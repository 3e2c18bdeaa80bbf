"""A soft prompt in front of a model that stays as it is (Lester et al. 2021, arXiv:2104.08691)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from peft import PeftModelForCausalLM, PromptTuningConfig, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapter_folder import CONFIG, read_weights
from interp_rc.models.checkpoint import explaining, in_one_line
from interp_rc.models.finite import check_finite
from interp_rc.records.errors import ModelError

BASE = "base"
"""A saved soft prompt holds no model: this folder, beside its own, does."""
EMBEDDINGS = "prompt_embeddings"
"""The only weight of a saved soft prompt."""


class SoftPrompted(PeftModelForCausalLM):
    """To its caller a causal language model like any other: every text is read after the soft
    prompt, and there are logits for its own tokens only.

    PEFT's own forward puts the prompt before a continuation too, whose cached keys and values
    hold it already, and gives logits for it; its own generate exchanges a method of the model
    for the time of the call, which threads that share the model must not.
    """

    @property
    def length(self) -> int:
        return int(self.active_peft_config.num_virtual_tokens)

    @property
    def generation_config(self) -> Any:
        return self.base_model.generation_config

    @generation_config.setter
    def generation_config(self, value: Any) -> None:
        self.base_model.generation_config = value

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"] | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> Any:
        """As the model's own; a mask beside a cache covers what is in it, less the soft prompt."""
        mask = None if attention_mask is None else self._whole_mask(attention_mask)
        if past_key_values is not None and past_key_values.get_seq_length():
            return self.base_model(
                input_ids=input_ids, attention_mask=mask, past_key_values=past_key_values, **options
            )
        out = self.base_model(
            inputs_embeds=self._embedded(input_ids),
            attention_mask=mask,
            past_key_values=past_key_values,
            **options,
        )
        out.logits = out.logits[:, self.length :]
        return out

    def generate(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch pos"],
        **options: Any,
    ) -> Int[Tensor, "batch longer"]:
        """The prompts and what follows them, as Transformers gives it."""
        said = self.base_model.generate(
            inputs_embeds=self._embedded(input_ids),
            attention_mask=self._whole_mask(attention_mask),
            **options,
        )
        return torch.cat([input_ids, said], 1)

    def _embedded(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch longer width"]:
        text = self.base_model.get_input_embeddings()(ids)
        return torch.cat([self.get_prompt(len(ids)).to(text.dtype), text], 1)

    def _whole_mask(self, mask: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch longer"]:
        return torch.cat([mask.new_ones(len(mask), self.length), mask], 1)

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """PEFT's files. It would ask the hub whether the vocabulary was changed: it never is."""
        super().save_pretrained(str(folder), **{**options, "save_embedding_layers": False})

    def create_or_update_model_card(self, output_dir: str) -> None:
        """None: the run says what the model is."""


def soft_prompted(model: PreTrainedModel, virtual_tokens: int) -> SoftPrompted:
    """`model` behind a new soft prompt of token embeddings drawn at random; only that can learn."""
    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=virtual_tokens,
        prompt_tuning_init="SAMPLE_VOCAB",
        base_model_name_or_path=f"../{BASE}",
    )
    return SoftPrompted(model, config)


def read_soft_prompt(folder: Path, model: PreTrainedModel) -> SoftPrompted:
    """The soft prompt of a folder in front of `model`.

    Raises ModelError for weights that are missing or do not fit.
    """
    weights = read_weights(folder)
    unused = sorted(weights.keys() - {EMBEDDINGS})
    if unused or EMBEDDINGS not in weights:
        what = f"{unused[0]}, which is none of a soft prompt's" if unused else f"no {EMBEDDINGS}"
        raise ModelError(f"{folder} holds {what}; give the folder as it was saved")
    with explaining(partial(_unfit, folder)):
        config = PromptTuningConfig.from_pretrained(str(folder))
        if config.num_virtual_tokens != len(weights[EMBEDDINGS]):
            raise ValueError(
                f"num_virtual_tokens is {config.num_virtual_tokens}, and there are "
                f"{len(weights[EMBEDDINGS])}"
            )
        config.inference_mode = True
        prompted = SoftPrompted(model, config)
        set_peft_model_state_dict(prompted, weights)
    check_finite(prompted, str(folder))
    return prompted


def _unfit(folder: Path, error: BaseException) -> str:
    return (
        f"{folder} holds no soft prompt that fits the model beside it: {in_one_line(error)}; give "
        f"the {CONFIG} and the base that were saved with it"
    )


CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",  # MPT, DBRX
    "max_sequence_length",
    "max_target_positions",  # decoders of speech models
    "context_length",  # RWKV
)
"""What configurations call the number of tokens that a model reads."""


def context_of(model: PreTrainedModel) -> int | None:
    """Find how many tokens of text the model reads at most.

    Returns:
        None where it says no number, or -1 for any. A soft prompt takes its own tokens of it, and
        RoBERTa's kind of learnt positions those up to its padding token's, which no text reaches.
    """
    config = model.config.get_text_config(decoder=True)
    named = (getattr(config, name, None) for name in CONTEXT)
    context = next((int(n) for n in named if isinstance(n, int) and n > 0), None)
    if context is None:
        return None
    unread = max((_unread(table, context) for table in _position_tables(model)), default=0)
    return context - unread - (model.length if isinstance(model, SoftPrompted) else 0)


def _position_tables(model: PreTrainedModel) -> Iterator[nn.Embedding]:
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            yield module


def _unread(table: nn.Embedding, context: int) -> int:
    """Rows before the first position, where positions are counted from the padding token's id."""
    counted = table.num_embeddings == context and table.padding_idx is not None
    return int(table.padding_idx or 0) + 1 if counted else 0
