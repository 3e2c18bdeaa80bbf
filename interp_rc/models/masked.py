"""Masked language models: they see the whole text, and say what stands where a mask is."""

from transformers import MODEL_FOR_MASKED_LM_MAPPING, PreTrainedModel


def is_masked(model: PreTrainedModel) -> bool:
    """Whether the model fills in masks instead of going on from the left."""
    config = type(model.config)  # asked for one by one, the mapping loads one family only
    fills_masks = config in MODEL_FOR_MASKED_LM_MAPPING and isinstance(
        model, MODEL_FOR_MASKED_LM_MAPPING[config]
    )
    # XLM has one class for both kinds, and says in its configuration which it is.
    return fills_masks and not getattr(model.config, "causal", False)
