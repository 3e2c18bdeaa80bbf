"""How large a language model is: of one inside a multimodal wrapper, its text model's numbers."""

from transformers import PreTrainedConfig, PreTrainedModel

from interp_rc.records.errors import ModelError


def text_config(model: PreTrainedModel) -> PreTrainedConfig:
    """The configuration of the language model, which may be a part of the model's own."""
    return model.config.get_text_config(decoder=True)


def layers_of(model: PreTrainedModel) -> int:
    """Layers of the language model. Raises ModelError if its configuration names none."""
    return _named(model, "num_hidden_layers", "layers")


def width_of(model: PreTrainedModel) -> int:
    """Numbers in the residual stream of a token. Raises ModelError if none is named."""
    return _named(model, "hidden_size", "width")


def vocabulary_of(model: PreTrainedModel) -> int:
    """Logits at a position. Raises ModelError if the configuration names no vocabulary."""
    return _named(model, "vocab_size", "vocabulary")


def heads_of(model: PreTrainedModel) -> int:
    """Query heads of a layer; 0 for a model that has none (Mamba, RWKV)."""
    heads = getattr(text_config(model), "num_attention_heads", None)
    return heads if isinstance(heads, int) else 0


def neurons_of(model: PreTrainedModel) -> int:
    """Neurons of a layer's MLP."""
    config = text_config(model)
    size = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None)
    return int(size or 4 * width_of(model))


def _named(model: PreTrainedModel, key: str, what: str) -> int:
    value = getattr(text_config(model), key, None)
    if not isinstance(value, int):
        raise ModelError(
            f"the configuration of a model of type {model.config.model_type!r} names no {what} "
            f"({key}); use a model of another family"
        )
    return value
