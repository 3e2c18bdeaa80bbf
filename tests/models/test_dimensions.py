"""Sizes of a language model, also of one inside a wrapper, and of families without heads."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    MambaConfig,
    RwkvConfig,
)

from interp_rc.engine.named_sites import named_sites
from interp_rc.models.completion import complete
from interp_rc.models.dimensions import heads_of, layers_of, vocabulary_of, width_of
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.scoring import score
from interp_rc.records.errors import ConfigError
from interp_rc.records.nouns import Contrast, Span
from interp_rc.tools.patching.patching import patch
from tests.engine.loop import IDS, word_tokenizer

SMALL = {"num_hidden_layers": 3, "hidden_size": 16, "vocab_size": len(IDS)}


def gemma3():
    text = SMALL | {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "intermediate_size": 24,
        "sliding_window": 4,
    }
    # As many layers as the text has, and larger ones: they are not to be taken for it.
    vision = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision |= {"intermediate_size": 96, "image_size": 28, "patch_size": 14}
    return Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config=text,
            vision_config=vision,
            mm_tokens_per_image=4,
            image_token_index=IDS["w29"],
            boi_token_index=IDS["w28"],
            eoi_token_index=IDS["w27"],
        )
    )


MODELS = {
    "gemma3": gemma3,
    "mamba": lambda: AutoModelForCausalLM.from_config(MambaConfig(**SMALL, state_size=4)),
    "rwkv": lambda: AutoModelForCausalLM.from_config(
        RwkvConfig(**SMALL, attention_hidden_size=16, intermediate_size=24)
    ),
}


@pytest.fixture(params=MODELS)
def loaded(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS[request.param]().eval().requires_grad_(False)
    return Loaded(model, word_tokenizer(masked=False))


def contrast():
    spans = {"source": [Span(3, 5), Span(3, 5)]}
    return Contrast("1", "f", "forward", "w1 w2 w3", "w1 w4 w3", " w5", spans=spans)


def test_what_the_text_model_says(loaded):
    model = loaded.model
    assert (layers_of(model), width_of(model), vocabulary_of(model)) == (3, 16, len(IDS))
    assert heads_of(model) == (4 if model.config.model_type == "gemma3" else 0)


def test_it_is_asked_as_any_other(loaded):
    """Against a whole pass written here."""
    ids = torch.tensor([[IDS[word] for word in ("<s>", "w1", "w2", "w3", "w4")]])
    log_probs = loaded.model(input_ids=ids).logits.log_softmax(-1)[0]
    expected = log_probs[2, IDS["w3"]] + log_probs[3, IDS["w4"]]
    assert score(*loaded, ["w1 w2"], [" w3 w4"]).log_prob[0] == pytest.approx(
        float(expected), abs=1e-5
    )
    greedy = int(log_probs[2].argmax())
    word = next(word for word, id in IDS.items() if id == greedy)
    (text,) = complete(*loaded, ["w1 w2"], max_new_tokens=[1])
    assert text in (word, "")  # special ones are not written


def test_its_stream_is_patched_layer_by_layer(loaded):
    """Against a hook on the layer, written here."""
    sites = named_sites(loaded, [contrast()], "resid_post@source")
    assert [site.layer for site in sites] == [0, 1, 2]
    with pytest.warns(UserWarning, match="full forward passes"):
        table = patch(loaded, [contrast()], sites).table
    model = loaded.model
    layers = {
        "gemma3": lambda: model.model.language_model.layers,
        "mamba": lambda: model.backbone.layers,
        "rwkv": lambda: model.rwkv.blocks,
    }[model.config.model_type]()
    ids = [torch.tensor([[IDS[w] for w in f"<s> {t}".split()]]) for t in ("w1 w2 w3", "w1 w4 w3")]
    for layer, value in zip(layers, table.sort_values("layer").value, strict=True):
        expected = by_hand(model, layer, *ids)[0, -1].log_softmax(-1)[IDS["w5"]]
        assert value == pytest.approx(float(expected), abs=1e-5)


def by_hand(model, layer, clean, corrupted):
    """Logits of the corrupted text, with what the layer gives for the third token of the clean."""
    kept = []

    def first(out):
        return out[0] if isinstance(out, tuple) else out

    def change(_, __, out):
        if not kept:
            kept.append(first(out))
            return out
        new = first(out).clone()
        new[:, 2] = kept[0][:, 2]
        return (new, *out[1:]) if isinstance(out, tuple) else new

    handle = layer.register_forward_hook(change)
    model(input_ids=clean, use_cache=False)
    logits = model(input_ids=corrupted, use_cache=False).logits
    handle.remove()
    return logits


def test_a_head_of_a_model_without_heads_is_no_site(loaded):
    if heads_of(loaded.model):
        pytest.skip("it has heads")
    with pytest.raises(ConfigError, match="heads"):
        patch(loaded, [contrast()], named_sites(loaded, [contrast()], "z.0.h0@source"))


def test_saved_and_loaded_again(loaded, tmp_path):
    save(loaded, tmp_path / "model")
    again = load(tmp_path / "model")
    ids = torch.tensor([[0, 5, 6, 7]])
    assert torch.equal(again.model(input_ids=ids).logits, loaded.model(input_ids=ids).logits)
