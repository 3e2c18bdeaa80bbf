"""A model is asked to go on only if it was shown that no token moves what stands before it."""

import copy

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForTokenClassification,
    BertLMHeadModel,
    BertModel,
    BigBirdConfig,
    BigBirdForCausalLM,
    CamembertConfig,
    CamembertForCausalLM,
    ElectraConfig,
    ElectraForCausalLM,
    ElectraForPreTraining,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MixtralConfig,
    ProphetNetConfig,
    ProphetNetForCausalLM,
    RobertaConfig,
    RobertaForCausalLM,
    RobertaForMaskedLM,
    RoFormerConfig,
    RoFormerForCausalLM,
    RwkvConfig,
    T5Config,
    T5ForConditionalGeneration,
    XLMConfig,
    XLMWithLMHeadModel,
    XLNetConfig,
    XLNetLMHeadModel,
)

from interp_rc.engine.inputs import read_inputs
from interp_rc.models import causality
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.causality import prove_causal
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded
from interp_rc.models.sampling import sample_completions
from interp_rc.models.scoring import score
from interp_rc.models.soft_prompt import soft_prompted
from interp_rc.records.errors import ModelError, ScoringError
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import train
from tests.engine.loop import word_tokenizer

WORDS = {"vocab_size": 35, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
SIZE = WORDS | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
GPT2 = WORDS | {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 40}
XL = WORDS | {"emb_dim": 16, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40}
XLNET = WORDS | {"d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 24}
PROPHET = WORDS | {
    "hidden_size": 16,
    "num_decoder_layers": 2,
    "num_decoder_attention_heads": 4,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 40,
    "add_cross_attention": False,
}
T5 = WORDS | {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


READ_AHEAD = {
    "bert": lambda: BertLMHeadModel(BertConfig(**SIZE)),
    "roberta": lambda: RobertaForCausalLM(RobertaConfig(**SIZE)),
    "camembert": lambda: CamembertForCausalLM(CamembertConfig(**SIZE)),
    "electra": lambda: ElectraForCausalLM(ElectraConfig(**SIZE, embedding_size=16)),
    "roformer": lambda: RoFormerForCausalLM(RoFormerConfig(**SIZE, embedding_size=16)),
    "big_bird": lambda: BigBirdForCausalLM(BigBirdConfig(**SIZE)),
    "xlnet": lambda: XLNetLMHeadModel(XLNetConfig(**XLNET)),
}
CAUSAL = {
    "bert": lambda: BertLMHeadModel(BertConfig(**SIZE, is_decoder=True)),
    "roberta": lambda: RobertaForCausalLM(RobertaConfig(**SIZE, is_decoder=True)),
    "xlm": lambda: XLMWithLMHeadModel(XLMConfig(**XL, causal=True)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "mamba": lambda: AutoModelForCausalLM.from_config(
        MambaConfig(vocab_size=35, hidden_size=16, num_hidden_layers=2, state_size=4)
    ),
    "rwkv": lambda: AutoModelForCausalLM.from_config(
        RwkvConfig(vocab_size=35, hidden_size=16, num_hidden_layers=2, attention_hidden_size=16)
    ),
    "mixtral": lambda: AutoModelForCausalLM.from_config(
        MixtralConfig(**SIZE, num_key_value_heads=2, num_local_experts=4, sliding_window=3)
    ),
}
WITHOUT_NEXT_TOKEN = {
    "reads its prompt in an encoder": lambda: T5ForConditionalGeneration(T5Config(**T5)),
    "no logit for each": lambda: ElectraForPreTraining(ElectraConfig(**SIZE, embedding_size=16)),
    "no logit for each of its 35": lambda: BertForTokenClassification(BertConfig(**SIZE)),
    "no logit": lambda: BertForNextSentencePrediction(BertConfig(**SIZE)),
    "cannot be asked": lambda: BertForPreTraining(BertConfig(**SIZE)),
    "from token ids alone": lambda: BertModel(BertConfig(**SIZE)),
    "fills in masks": lambda: RobertaForMaskedLM(RobertaConfig(**SIZE)),
    "mask": lambda: XLMWithLMHeadModel(XLMConfig(**XL)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", READ_AHEAD)
def test_a_model_that_reads_ahead_is_refused_whatever_its_class_says(name, dtype):
    model = seeded(READ_AHEAD[name]).to(dtype)
    with pytest.raises(ScoringError, match=f"model of type {name} reads ahead"):
        prove_causal(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CAUSAL)
def test_a_model_that_goes_on_from_the_left_is_proven_once(name, dtype):
    model = seeded(CAUSAL[name]).to(dtype)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    prove_causal(model)
    assert passes
    passes.clear()
    prove_causal(model)
    assert not passes


def test_a_first_token_that_sees_all_others_is_enough():
    """ProphetNet masks nothing at the first position; in random weights that is a last bit."""
    model = seeded(lambda: ProphetNetForCausalLM(ProphetNetConfig(**PROPHET)))
    with pytest.raises(ScoringError, match="its logits at position 0 move"):
        prove_causal(model)


@pytest.mark.parametrize("reason", WITHOUT_NEXT_TOKEN)
def test_a_model_that_says_nothing_of_the_next_token_is_refused(reason):
    with pytest.raises(ScoringError, match=reason):
        prove_causal(seeded(WITHOUT_NEXT_TOKEN[reason]))


def test_what_was_proven_is_proven_again_when_the_configuration_changes():
    model = seeded(CAUSAL["gpt2"])
    prove_causal(model)
    model.config.use_bidirectional_attention = True
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    prove_causal(model)
    assert passes


def ahead(by):
    """GPT-2 in which each token also reads the one so many further on."""
    model = seeded(CAUSAL["gpt2"])

    def mix(_, __, out):
        mixed = out.clone()
        mixed[:, :-by] += 0.01 * out[:, by:]
        return mixed

    model.transformer.wte.register_forward_hook(mix)
    return model


@pytest.mark.parametrize("by", [1, 2, 7])
def test_a_narrow_window_onto_what_follows_is_seen(by):
    with pytest.raises(ScoringError, match="reads ahead"):
        prove_causal(ahead(by))


def test_tokens_that_are_read_alike_do_not_hide_it():
    """Of 35 tokens all but four have one embedding: most changes change nothing."""
    model = seeded(READ_AHEAD["bert"])
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        rows[8:] = rows[8]
    with pytest.raises(ScoringError, match="reads ahead"):
        prove_causal(model)


def test_weights_that_mix_no_tokens_prove_nothing():
    model = seeded(READ_AHEAD["bert"])
    values = [layer.attention.output.dense.weight for layer in model.bert.encoder.layer]
    kept = [weight.clone() for weight in values]
    with torch.no_grad():
        for weight in values:
            weight.zero_()
        prove_causal(model)  # with these weights no token sees another
        assert model not in causality._PROVEN
        for weight, old in zip(values, kept, strict=True):
            weight.copy_(old)
    with pytest.raises(ScoringError, match="reads ahead"):
        prove_causal(model)


def test_dropout_and_modes_are_left_as_they_were():
    model = GPT2LMHeadModel(GPT2Config(**GPT2)).train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    prove_causal(model)
    assert model in causality._PROVEN
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_soft_prompt_before_either_kind():
    causal = soft_prompted(seeded(CAUSAL["gpt2"]), 3)
    prove_causal(causal)
    assert causal in causality._PROVEN
    with pytest.raises(ScoringError, match="reads ahead"):
        prove_causal(soft_prompted(seeded(READ_AHEAD["bert"]), 3))


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_decoder_of_an_encoders_family_is_looked_into_as_causal(name):
    adapter = Adapter(seeded(CAUSAL[name]))  # proves itself, layer by layer
    assert adapter.parts.causal


@pytest.mark.parametrize("context", [2, 3, 5])
def test_a_short_context(context):
    model = GPT2LMHeadModel(GPT2Config(**GPT2 | {"n_positions": context})).eval()
    prove_causal(model)
    assert model in causality._PROVEN


def test_image_tokens_and_padding_are_not_part_of_the_text():
    model = seeded(lambda: AutoModelForCausalLM.from_config(Gemma3TextConfig(**SIZE, head_dim=4)))
    model.config.image_token_id = 7
    seen = []
    model.model.embed_tokens.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    prove_causal(model)
    assert not set(torch.cat(seen).flatten().tolist()) & {0, 1, 2, 7}


def test_weights_that_are_no_numbers_are_named_as_such():
    model = seeded(CAUSAL["gpt2"])
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"no numbers: .* transformer.h.0.mlp.c_fc.weight are NaN"):
        prove_causal(model)
    with pytest.raises(ModelError, match=r"no numbers: .* transformer.h.0.mlp.c_fc.weight are NaN"):
        Adapter(model)


ASKING = {
    "score": lambda loaded: score(*loaded, ["w1 w2"], [" w3"]),
    "complete": lambda loaded: complete(*loaded, ["w1 w2"], max_new_tokens=[2]),
    "sample": lambda loaded: sample_completions(
        *loaded, ["w1 w2"], samples=1, max_new_tokens=1, seed=0
    ),
    "patch": lambda loaded: read_inputs(loaded, ["w1 w2"], [" w3"]),
}


@pytest.mark.parametrize("way", ASKING)
def test_nothing_asks_a_model_that_reads_ahead(way):
    loaded = Loaded(seeded(READ_AHEAD["roberta"]), word_tokenizer(masked=False))
    with pytest.raises(ScoringError, match=r'"is_decoder": true.*RobertaForMaskedLM'):
        ASKING[way](loaded)


@pytest.mark.parametrize("way", ASKING)
def test_while_its_layers_are_open_a_model_is_not_asked_as_a_whole(way):
    loaded = Loaded(seeded(CAUSAL["gpt2"]), word_tokenizer(masked=False))
    runs = Adapter(loaded.model).by_layers
    with runs.opened(), pytest.raises(ModelError, match=r"opened .* before they are opened, or"):
        ASKING[way](loaded)
    ASKING[way](loaded)


def test_nothing_is_trained_that_reads_ahead(told, tokenizer, tmp_path):
    from interp_rc.models.machine import Machine

    config = BertConfig(**SIZE | {"vocab_size": len(tokenizer), "max_position_embeddings": 99})
    loaded = Loaded(seeded(lambda: BertLMHeadModel(config)), tokenizer)
    before = copy.deepcopy(loaded.model.state_dict())
    with pytest.raises(ScoringError, match="reads ahead"):
        train(
            loaded,
            told.documents,
            TrainingOptions(),
            machine=Machine("cpu", False, 1),
            seed=0,
            checkpoints=tmp_path,
        )
    assert all(torch.equal(w, before[name]) for name, w in loaded.model.state_dict().items())
