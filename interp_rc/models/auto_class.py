"""Which of Transformers' classes a configuration means: to go on, or to fill in masks."""

from typing import Any

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedConfig,
)

from interp_rc.records.errors import ModelError


def auto_class(config: PreTrainedConfig) -> Any:
    """AutoModelForCausalLM or AutoModelForMaskedLM, as the configuration's `architectures` say.

    Where they don't (or name what was pretrained with a masked head and another), families that
    fill in masks do so unless `is_decoder` is set: their causal classes would read ahead.

    Raises ModelError for what is neither: encoder-decoders, and families without such a head.
    """
    kind, names = type(config), _architectures(config)
    masked = kind in MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING
    if causal and MODEL_FOR_CAUSAL_LM_MAPPING[kind].__name__ in names:
        chosen = AutoModelForCausalLM
    elif any(name.endswith("ForMaskedLM") for name in names):
        chosen = AutoModelForMaskedLM
    elif config.is_encoder_decoder:
        raise ModelError(
            f"a model of type {config.model_type} reads its prompt in an encoder and writes in a "
            "decoder; give a causal or a masked language model"
        )
    elif masked and not getattr(config, "is_decoder", False):
        chosen = AutoModelForMaskedLM
    elif causal:
        chosen = AutoModelForCausalLM
    else:
        what = f" ({', '.join(names)})" if names else ""
        raise ModelError(
            f"a model of type {config.model_type}{what} neither goes on from a prompt nor fills in "
            "masks; give a causal or a masked language model"
        )
    return chosen


def _architectures(config: PreTrainedConfig) -> list[str]:
    names = config.architectures or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelError(
            f'"architectures" is {names!r}; write a list of class names, or leave it out'
        )
    return names
