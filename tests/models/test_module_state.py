"""What a model keeps in its modules never reaches another text: not beside it, not in a thread."""

import copy

import pytest
import torch
from transformers import (
    JambaConfig,
    Lfm2Config,
    LlamaConfig,
    Phi3Config,
    RecurrentGemmaConfig,
)

from interp_rc.engine.inputs import read_inputs
from interp_rc.models.build import build_model
from interp_rc.models.completion import complete
from interp_rc.models.encoder import load_encoder
from interp_rc.models.encoder_states import place_states, tokens
from interp_rc.models.load import Loaded
from interp_rc.models.module_state import keeps_state, plain_cache, reads_alike_up_to
from interp_rc.models.pooled_states import pooled_states
from interp_rc.models.sampling import sample_completions
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError

SIZE = {
    "vocab_size": 420, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
SWITCH = 12
ROPE = {
    "rope_type": "longrope", "rope_theta": 100.0, "short_factor": [1.0] * 4,
    "long_factor": [9.0] * 4, "original_max_position_embeddings": SWITCH,
}  # fmt: skip


def built(config, tokenizer):
    model = build_model(config, seed=0).eval()
    return Loaded(model if config.model_type == "jamba" else model.double(), tokenizer)


@pytest.fixture(scope="module")
def long_rope(tokenizer):
    lengths = {"max_position_embeddings": 64, "original_max_position_embeddings": SWITCH}
    config = Phi3Config(**SIZE, **lengths, rope_parameters=ROPE)
    return built(config, tokenizer)


@pytest.fixture(scope="module")
def recurrent(tokenizer):
    """Two recurrent units and a local attention, which keep their state in their modules."""
    config = RecurrentGemmaConfig(**SIZE, lru_width=16, attention_window_size=8)
    return built(config, tokenizer)


def one_by_one(loaded, prompt, target):
    """Every token after those before it, read anew, and whether each is the likeliest."""
    model, tokenizer = loaded
    ids = tokenizer(prompt + target).input_ids
    start = len(tokenizer(prompt).input_ids)
    assert ids[:start] == tokenizer(prompt).input_ids
    total = 0.0
    for place in range(start, len(ids)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[:place]]), use_cache=False).logits[0, -1]
        total += logits.double().log_softmax(-1)[ids[place]].item()
    return total


def greedy(loaded, prompt, longest):
    model, tokenizer = loaded
    ids, new = tokenizer(prompt).input_ids, []
    while len(new) < longest and 2 not in new:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + new]), use_cache=False).logits[0, -1]
        new.append(int(logits.argmax()))
    return tokenizer.decode(new, skip_special_tokens=True)


PROMPTS = ["a", "a b", "a b c d e f g h", "a b c d e f g h a b c d e f g h", "b a", "c a b"]
TARGETS = [" d e", " f g h a b c d e f g h a b", " a b c", " d", " c", " a b c d a b c d a b c d"]
PAIRS = [(p, t) for p in PROMPTS for t in TARGETS]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["long_rope", "recurrent"])
def test_scores_are_those_of_a_text_alone_and_left_to_right(kind, threads, request):
    loaded = copy.deepcopy(request.getfixturevalue(kind))
    expected = [one_by_one(loaded, *pair) for pair in PAIRS]
    torch.set_num_threads(threads)
    scores = score(*loaded, *zip(*PAIRS, strict=True), batch_size=3)
    assert scores.log_prob.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["long_rope", "recurrent"])
def test_texts_are_those_of_a_prompt_alone(kind, threads, request):
    loaded = copy.deepcopy(request.getfixturevalue(kind))
    expected = [greedy(loaded, prompt, 9) for prompt in PROMPTS]
    torch.set_num_threads(threads)
    assert complete(*loaded, PROMPTS, max_new_tokens=[9] * 6, batch_size=2) == expected
    options = {"samples": 2, "max_new_tokens": 6, "seed": 0}
    [alone] = sample_completions(*loaded, PROMPTS[2:3], **options)
    assert sample_completions(*loaded, PROMPTS, batch_size=2, **options)[2] == alone


def test_a_forward_pass_that_leaves_something_behind_is_seen(recurrent, taught):
    torch.set_num_threads(3)
    for loaded, keeps in ((recurrent, True), (taught["llama"], False)):
        model = copy.deepcopy(loaded.model)
        score(model, loaded.tokenizer, PROMPTS[:2], TARGETS[:2])
        assert keeps_state(model) is keeps


def test_only_long_rope_reads_long_texts_in_another_way(long_rope, taught):
    assert reads_alike_up_to(long_rope.model) == SWITCH
    assert reads_alike_up_to(taught["llama"].model) is None


@pytest.fixture(scope="module")
def long_rope_encoder(long_rope, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    long_rope.model.save_pretrained(folder)
    long_rope.tokenizer.save_pretrained(folder)
    return load_encoder(folder)


def test_states_are_those_of_a_text_alone(long_rope, long_rope_encoder):
    """Texts on both sides of the limit are asked for together."""
    places = [{"last": [len(one.ids) - 1]} for one in tokens(long_rope_encoder, PROMPTS)]

    def read(which):
        texts = PROMPTS[which]
        return {
            "pooled": pooled_states(long_rope, texts),
            "embedded": long_rope_encoder.embedded(texts),
            **place_states(long_rope_encoder, texts, places[which]),
        }

    together = read(slice(None))
    lengths = long_rope_encoder.lengths(PROMPTS)
    assert min(lengths) <= SWITCH < max(lengths)
    for n in range(len(PROMPTS)):
        for name, alone in read(slice(n, n + 1)).items():
            torch.testing.assert_close(together[name][n], alone[0], atol=1e-6, rtol=1e-6)


def test_looking_inside_is_refused_where_the_company_would_matter(long_rope):
    read_inputs(long_rope, ["a b c d"], [" e"])
    with pytest.raises(DataError, match=r"18 tokens, and texts of more than 12 .*LongRoPE"):
        read_inputs(long_rope, ["a b c d", "a b c d e f g h a b c"], [" e", " d e"])


@pytest.mark.parametrize(
    "config",
    [
        Lfm2Config(**SIZE, layer_types=["conv", "full_attention", "conv"]),
        JambaConfig(
            **SIZE, attn_layer_period=2, attn_layer_offset=1, num_experts=2, num_experts_per_tok=1,
            mamba_d_state=4, mamba_dt_rank=2, use_mamba_kernels=False,
        ),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_a_cache_with_one_layer_that_is_not_plain(config, tokenizer):
    loaded = built(config, tokenizer)
    ids = torch.tensor([loaded.tokenizer("a b").input_ids])
    assert plain_cache(loaded.model(input_ids=ids, use_cache=True)) is None
    scores = score(*loaded, *zip(*PAIRS[::3], strict=True))
    expected = [one_by_one(loaded, *pair) for pair in PAIRS[::3]]
    assert scores.log_prob.tolist() == pytest.approx(expected, abs=1e-5)
    texts = complete(*loaded, PROMPTS[:3], max_new_tokens=[4] * 3)
    assert texts == [greedy(loaded, prompt, 4) for prompt in PROMPTS[:3]]


def test_keys_and_values_alone_are_plain(tokenizer):
    loaded = built(LlamaConfig(**SIZE), tokenizer)
    out = loaded.model(input_ids=torch.tensor([[1, 2]]), use_cache=True)
    assert plain_cache(out) is out.past_key_values
