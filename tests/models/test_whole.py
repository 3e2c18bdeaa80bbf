"""A checkpoint is loaded whole: nothing made up, nothing left aside, nothing that is no number."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

from interp_rc.models.causality import prove_causal
from interp_rc.models.encoder import load_encoder
from interp_rc.models.load import load, save
from interp_rc.models.masked import is_masked
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError, ScoringError
from tests.conftest import untaught
from tests.engine.loop import SIZE, word_tokenizer

IDS = torch.tensor([[1, 40, 50, 60, 70, 80, 90]])


@pytest.fixture
def folder(tokenizer, tmp_path):
    save(untaught(tokenizer, "llama", layers=4), tmp_path / "model")
    return tmp_path / "model"


def configured(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def reweighted(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def refused(folder, *fragments, how=load):
    with pytest.raises(ModelError) as caught:
        how(folder)
    for fragment in (str(folder), *fragments):
        assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_names_fewer_layers(folder):
    configured(folder, num_hidden_layers=3)
    refused(folder, "no place for: model.layers.3.input_layernorm.weight,", "(9 in all)")


def test_biases_that_are_dropped(folder):
    def biased(weights):
        for name in [name for name in weights if name.endswith("up_proj.weight")]:
            weights[name.replace("weight", "bias")] = torch.ones(len(weights[name]))

    reweighted(folder, biased)
    refused(folder, "no place for: model.layers.0.mlp.up_proj.bias,", "(4 in all)")
    configured(folder, mlp_bias=True)
    refused(folder, "no weights that fit model.layers.0.mlp.down_proj.bias (8 in all)")


@pytest.mark.parametrize(
    "key",
    [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.rotary_emb.inv_freq",
        "model.layers.2.self_attn.attn.masked_bias",
        "v_head.summary.weight",
    ],
)
def test_buffers_of_older_versions_and_heads_beside_it_change_nothing(folder, key):
    expected = load(folder).model(IDS).logits
    reweighted(folder, lambda weights: weights.update({key: torch.ones(4)}))
    assert torch.equal(load(folder).model(IDS).logits, expected)


def test_output_rows_that_contradict_the_tie(folder):
    def untied(weights):
        weights["lm_head.weight"] = 2 * weights["model.embed_tokens.weight"]

    reweighted(folder, untied)
    refused(folder, '"tie_word_embeddings": true', "write false into its config.json")
    configured(folder, tie_word_embeddings=False)
    rows = load(folder).model.get_output_embeddings().weight
    assert torch.equal(rows, 2 * load(folder).model.get_input_embeddings().weight)
    reweighted(folder, lambda weights: weights.pop("lm_head.weight"))
    refused(folder, "no weights that fit lm_head.weight")
    configured(folder, tie_word_embeddings=True)
    assert load(folder).model(IDS).logits.isfinite().all()


def test_output_rows_stored_twice_but_equal_are_one(folder):
    reweighted(
        folder, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()})
    )
    model = load(folder).model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers(folder, value):
    def damage(weights):
        weights["model.layers.2.mlp.up_proj.weight"][3, 5] = value

    reweighted(folder, damage)
    refused(folder, "weights that are no numbers: 1 of", "model.layers.2.mlp.up_proj.weight")


def test_weights_that_leave_the_precision_are_no_numbers(folder):
    def large(weights):
        weights["model.norm.weight"] = weights["model.norm.weight"].double() * 1e300

    reweighted(folder, large)
    refused(folder, "weights that are no numbers", "model.norm.weight are infinite")


def test_an_index_that_names_a_file_that_is_not_there(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert load(folder).model(IDS).logits.isfinite().all()
    shards[1].unlink()
    refused(folder, shards[1].name)


def test_a_model_and_an_adapter_in_one_folder(folder):
    from tests.models.test_lora import adapted

    adapted(load(folder), folder).save_pretrained(str(folder), save_embedding_layers=False)
    refused(folder, "a model and an adapter of one")


def bert(kind, folder, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(BertConfig(**SIZE)).eval()
    model.save_pretrained(folder)
    word_tokenizer(masked=True).save_pretrained(folder)
    configured(folder, **changes)
    return model


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining])
@pytest.mark.parametrize("named", [True, False])
def test_what_fills_in_masks_is_loaded_as_such(kind, named, tmp_path):
    """Also where `architectures` is missing, or names two heads of which one is a masked one."""
    own = bert(kind, tmp_path, **({} if named else {"architectures": None}))
    loaded = load(tmp_path)
    assert type(loaded.model) is BertForMaskedLM
    assert is_masked(loaded.model)
    ids = torch.tensor([[0, 7, 8, 9, 2]])
    out = own(ids)
    expected = out.logits if kind is BertForMaskedLM else out.prediction_logits
    torch.testing.assert_close(loaded.model(ids).logits, expected)
    with pytest.raises(ScoringError, match="fills in masks"):
        score(*loaded, ["w1 w2"], [" w3"])


def test_a_causal_class_in_a_masked_families_folder_is_refused_when_it_is_asked(tmp_path):
    bert(BertForMaskedLM, tmp_path, architectures=["BertLMHeadModel"])
    with pytest.raises(ScoringError, match="reads ahead"):
        score(*load(tmp_path), ["w1 w2"], [" w3"])
    configured(tmp_path, is_decoder=True)
    prove_causal(load(tmp_path).model)


@pytest.mark.parametrize("kind", [BertModel, BertForSequenceClassification])
def test_models_without_a_language_models_head(kind, tmp_path):
    bert(kind, tmp_path)
    refused(tmp_path, "no weights that fit cls.predictions")


def test_encoder_decoders(tmp_path):
    T5ForConditionalGeneration(
        T5Config(vocab_size=35, d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=4)
    ).save_pretrained(tmp_path)
    word_tokenizer(masked=True).save_pretrained(tmp_path)
    refused(tmp_path, "type t5 reads its prompt in an encoder", "give a causal or a masked")


def test_encoders_are_loaded_whole_too(tmp_path):
    bert(BertModel, tmp_path)
    load_encoder(tmp_path)
    configured(tmp_path, num_hidden_layers=2)
    refused(tmp_path, "no place for: encoder.layer.2.", how=load_encoder)
    configured(tmp_path, num_hidden_layers=4)
    refused(tmp_path, "no weights that fit encoder.layer.3.", how=load_encoder)


def test_heads_and_poolers_are_no_part_of_an_encoder(tmp_path):
    bert(BertForMaskedLM, tmp_path)  # a head, and no pooler
    load_encoder(tmp_path)
    configured(tmp_path, num_hidden_layers=2)
    refused(tmp_path, "no place for: bert.encoder.layer.2.", how=load_encoder)


def test_an_encoder_of_weights_that_are_no_numbers(tmp_path):
    bert(BertModel, tmp_path)
    reweighted(tmp_path, lambda w: w["encoder.layer.1.output.dense.weight"].fill_(torch.nan))
    refused(tmp_path, "no numbers", "layer.1.output.dense.weight", how=load_encoder)


def test_older_gpt2_masks(tokenizer, tmp_path):
    model = untaught(tokenizer, "gpt2")
    save(model, tmp_path / "model")
    mask = torch.ones(96, 96).tril().bool()[None, None]
    extra = {
        f"transformer.h.{n}.attn.{name}": value.clone()
        for n in range(2)
        for name, value in (("bias", mask), ("masked_bias", torch.tensor(-1e4)))
    }
    reweighted(tmp_path / "model", lambda weights: weights.update(extra))
    loaded = load(tmp_path / "model")
    assert isinstance(loaded.model, GPT2LMHeadModel)
    assert torch.equal(loaded.model(IDS).logits, copy.deepcopy(model.model)(IDS).logits)
