"""A model is loaded as it was saved, whole and without running any code of its own, or refused."""

import copy
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from interp_rc.models.load import Loaded, load, save
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError

IDS = torch.tensor([[1, 40, 50, 60, 70, 80, 90]])


@pytest.fixture(scope="module")
def saved(taught, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    save(taught["llama"], folder)
    return folder


@pytest.fixture
def damaged(saved, tmp_path):
    """A copy to damage."""
    return shutil.copytree(saved, tmp_path / "model")


def refused(source, *fragments):
    with pytest.raises(ModelError) as caught:
        load(source)
    for fragment in (str(source), *fragments):
        assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_saved_and_loaded_it_gives_the_same_logits(tiny, tmp_path):
    save(tiny, tmp_path / "model")
    again = load(tmp_path / "model")
    assert torch.equal(again.model(IDS).logits, tiny.model(IDS).logits)
    assert not again.model.training
    assert again.tokenizer("A text").input_ids == tiny.tokenizer("A text").input_ids
    written = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert written == {".json", ".safetensors"}


def test_an_older_model_in_its_place_is_replaced_whole(taught, tmp_path):
    save(taught["gpt2"], tmp_path / "model")
    save(taught["llama"], tmp_path / "model")
    assert load(tmp_path / "model").model.config.model_type == "llama"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_precision(saved):
    assert load(saved, dtype="bfloat16").model.dtype == torch.bfloat16
    assert load(saved).model.dtype == torch.float32


def test_weights_that_can_hold_code_are_refused(damaged):
    (damaged / "model.safetensors").unlink()
    torch.save({"weights": torch.zeros(1)}, damaged / "pytorch_model.bin")
    refused(damaged, "no *.safetensors weights", "save the model with safe_serialization first")


@pytest.mark.parametrize("model_type", ["llama", "of_my_own"])
def test_code_beside_a_model_is_not_run(damaged, tmp_path, model_type):
    marker = tmp_path / "it-ran"
    code = f"open({str(marker)!r}, 'w').close()\n"
    for kind in ("configuration", "modeling", "tokenization"):
        (damaged / f"{kind}_own.py").write_text(code)
    config = json.loads((damaged / "config.json").read_text())
    config |= {
        "model_type": model_type,
        "auto_map": {
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModelForCausalLM": "modeling_own.OwnModel",
            "AutoTokenizer": ["tokenization_own.OwnTokenizer", None],
        },
    }
    (damaged / "config.json").write_text(json.dumps(config))
    if model_type == "llama":  # Transformers knows it: its own code is read, theirs is not needed
        assert load(damaged).model(IDS).logits.isfinite().all()
    else:
        refused(damaged, "code of its own, which is never run; use a built-in architecture")
    assert not marker.exists()


def test_a_folder_without_a_configuration(damaged):
    (damaged / "config.json").unlink()
    refused(damaged, "holds no model (no config.json); give a Hugging Face folder")


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nowhere", "not found; check the path")
    refused("./nowhere", "not found; check the path")


def test_an_unknown_hub_id_without_a_network():
    refused("nobody/nothing", "check the name, the revision and the network", "give its folder")


def test_a_configuration_that_is_not_json(damaged):
    (damaged / "config.json").write_text("{")
    refused(damaged, "cannot be loaded")


def test_a_folder_without_a_tokenizer(damaged):
    for path in damaged.glob("tokenizer*"):
        path.unlink()
    refused(damaged, "tokenizer")


def test_weights_that_were_cut_off(damaged):
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(damaged, "cannot be loaded")


def test_weights_of_another_shape(damaged):
    config = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    refused(damaged, "no weights that fit model.layers.0.mlp.down_proj.weight (6 in all)")


def test_weights_that_are_missing_are_not_made_up(damaged):
    weights = load_file(damaged / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    refused(damaged, "model.layers.1.mlp.up_proj.weight (1 in all)", "give a whole language")


def test_a_tokenizer_reads_as_it_did_before_it_was_saved(tiny, tmp_path):
    """By the family alone, Transformers takes Qwen2's own, which splits numbers digit by digit."""
    save(tiny, tmp_path / "model")
    again = load(tmp_path / "model").tokenizer
    for text in ("it's 12345", "DON'T", "  two\n\n  lines\t", "e\u0301 ﬁ", "<|endoftext|> </s>"):
        assert again(text).input_ids == tiny.tokenizer(text).input_ids
    assert len(again) == len(tiny.tokenizer)
    assert again.special_tokens_map == tiny.tokenizer.special_tokens_map


def with_added(tiny, *, special):
    words = copy.deepcopy(tiny.tokenizer)
    words.add_tokens(["quite-another-word"], special_tokens=special)
    return Loaded(tiny.model, words)


def test_a_special_token_without_an_embedding_is_read_as_text(taught, tmp_path):
    llama = taught["llama"]
    added = with_added(llama, special=True)
    added.tokenizer.pad_token = "quite-another-word"
    save(added, tmp_path / "model")
    again = load(tmp_path / "model")
    for text in ("A text", "a quite-another-word </s>"):
        assert again.tokenizer(text).input_ids == llama.tokenizer(text).input_ids
    assert again.tokenizer.pad_token == again.tokenizer.eos_token == "</s>"
    expected = score(*llama, ["A quite-another-word"], [" here"]).log_prob
    assert torch.equal(score(*again, ["A quite-another-word"], [" here"]).log_prob, expected)


def test_a_word_without_an_embedding_is_refused(taught, tmp_path):
    save(with_added(taught["llama"], special=False), tmp_path / "model")
    refused(tmp_path / "model", "'quite-another-word' the id 420", "embedding for 420 tokens")
