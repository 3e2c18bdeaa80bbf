"""New, untrained causal language models of four shapes."""

from typing import Literal

import torch
from pydantic import model_validator
from transformers import (
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from interp_rc.models.auto_class import auto_class
from interp_rc.records.limits import MOST_PARAMETERS
from interp_rc.records.options import Options, Positive
from interp_rc.records.seeds import derive_seed

Shape = Literal["llama", "gpt2", "gpt_neox", "qwen2"]


class Size(Options):
    """Shape and size of a model. `mlp` is the hidden width; None means 8/3 or 4 times `width`."""

    shape: Shape = "llama"
    layers: Positive = 4
    width: Positive = 128
    heads: Positive = 4
    mlp: Positive | None = None
    context: Positive = 256

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Size":
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of 2 x {self.heads} heads")
        check_parameters(self.layers, self.width, self.mlp_width(), self.context)
        return self

    def mlp_width(self) -> int:
        """Gated MLPs have three matrices instead of two: 8/3 keeps the parameters equal."""
        if self.mlp is not None:
            return self.mlp
        gated = self.shape in ("llama", "qwen2")
        return 16 * round(self.width * 8 / 3 / 16) if gated else 4 * self.width


def check_parameters(layers: int, width: int, mlp: int, rows: int) -> None:
    """Raise ValueError, before anything is allocated, for a model that nobody means to make here.

    `rows`: of its embeddings. Four square matrices and two of the MLP are counted a layer.
    """
    parameters = layers * (4 * width**2 + 2 * width * mlp) + rows * width
    if parameters > MOST_PARAMETERS:
        raise ValueError(
            f"the model would have {parameters:,} parameters, and {MOST_PARAMETERS:,} are the "
            "most that are made here; give a smaller size"
        )


def model_config(size: Size, vocabulary: int, bos: int, eos: int, pad: int) -> PreTrainedConfig:
    """The Transformers configuration, with input embedding and output rows tied."""
    tokens = {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad}
    common = {"vocab_size": vocabulary, "tie_word_embeddings": True, **tokens}
    if size.shape == "gpt2":
        return GPT2Config(
            n_layer=size.layers,
            n_embd=size.width,
            n_head=size.heads,
            n_inner=size.mlp_width(),
            n_positions=size.context,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **common,
        )
    family = {"llama": LlamaConfig, "qwen2": Qwen2Config, "gpt_neox": GPTNeoXConfig}[size.shape]
    return family(
        num_hidden_layers=size.layers,
        hidden_size=size.width,
        num_attention_heads=size.heads,
        **({} if size.shape == "gpt_neox" else {"num_key_value_heads": size.heads}),
        intermediate_size=size.mlp_width(),
        max_position_embeddings=size.context,
        **common,
    )


def build_model(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A float32 model with weights drawn from `seed`; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        model: PreTrainedModel = auto_class(config).from_config(config, dtype=torch.float32)
    return model
