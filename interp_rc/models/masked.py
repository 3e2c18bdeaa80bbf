"""Masked language models: they see the whole text, and say what stands where a mask is."""

from transformers import MODEL_FOR_MASKED_LM_MAPPING, PreTrainedModel

from interp_rc.records.errors import ScoringError


def is_masked(model: PreTrainedModel) -> bool:
    """Whether the model fills in masks instead of going on from the left."""
    config = type(model.config)  # asked for one by one, the mapping loads one family only
    return config in MODEL_FOR_MASKED_LM_MAPPING and isinstance(
        model, MODEL_FOR_MASKED_LM_MAPPING[config]
    )


def refuse_masked(model: PreTrainedModel) -> None:
    """Raises ScoringError for a model that would see the very words that it should predict."""
    if is_masked(model):
        raise ScoringError(
            f"a model of type {model.config.model_type} fills in masks and does not go on from a "
            "prompt; look into it with patch, or ask a causal language model"
        )
