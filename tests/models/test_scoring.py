"""Scores are those of one example at a time, without cache, batch or padding."""

import copy

import pytest
import torch
from tokenizers import processors
from transformers import BloomConfig, MambaConfig, MistralConfig

from interp_rc.models.build import build_model
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.errors import ScoringError


def alone(loaded, prompt, target):
    """Log-probability, number of tokens and whether decoding says them, by a plain loop."""
    model, tokenizer = loaded
    encoded = tokenizer(prompt + target, return_offsets_mapping=True)
    ids = encoded.input_ids
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    log_probs = torch.log_softmax(logits.double(), dim=-1)
    total, tokens, greedy = 0.0, 0, True
    for place, (_, end) in enumerate(encoded.offset_mapping):
        if end > len(prompt):
            total += log_probs[place - 1, ids[place]].item()
            tokens += 1
            greedy = greedy and log_probs[place - 1].argmax().item() == ids[place]
    greedy = greedy and ids[:-tokens] == tokenizer(prompt).input_ids
    return total, tokens, greedy


@pytest.fixture(scope="module")
def items(told):
    """Ragged prompts with several targets each, of one token and of many; one pair comes twice."""
    pairs = [(query.prompt, target) for query in told.queries[::5] for target in query.candidates]
    pairs += [(query.prompt, target) for query in told.queries[:6] for target in (".", ",", " the")]
    pairs += [(document.text[:20], document.text[20:]) for document in told.documents[::7]]
    pairs += [(prompt, target) for prompt in "abcd" for target in (" b c a", " c a b", " a b")]
    pairs += [("", told.documents[0].text), pairs[0]]
    return [prompt for prompt, _ in pairs], [target for _, target in pairs]


def test_equal_to_one_example_at_a_time(tiny, items):
    prompts, targets = items
    lengths = {len(tiny.tokenizer(prompt).input_ids) for prompt in prompts}
    scores = score(*tiny, prompts, targets)
    expected = [alone(tiny, *item) for item in zip(prompts, targets, strict=True)]
    assert len(lengths) > 5
    assert {1, 3} < {tokens for _, tokens, _ in expected}
    for found, (log_prob, _, _) in zip(scores.log_prob.tolist(), expected, strict=True):
        assert found == pytest.approx(log_prob, rel=1e-6, abs=1e-5)
    assert scores.n_tokens.tolist() == [tokens for _, tokens, _ in expected]
    assert scores.greedy.tolist() == [greedy for _, _, greedy in expected]


def test_in_float64_equal_to_ten_digits(tiny, items):
    precise = Loaded(copy.deepcopy(tiny.model).double(), tiny.tokenizer)
    prompts, targets = (part[::3] for part in items)
    found = score(*precise, prompts, targets).log_prob.tolist()
    expected = [alone(precise, *item)[0] for item in zip(prompts, targets, strict=True)]
    assert found == pytest.approx(expected, rel=0, abs=1e-10)


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_and_the_padding_side_change_nothing(tiny, items, padding_side, batch_size):
    other = copy.deepcopy(tiny.tokenizer)
    other.padding_side = padding_side
    expected = score(*tiny, *items)
    found = score(tiny.model, other, *items, batch_size=batch_size)
    torch.testing.assert_close(found.log_prob, expected.log_prob, rtol=1e-6, atol=1e-5)
    assert torch.equal(found.n_tokens, expected.n_tokens)
    assert torch.equal(found.greedy, expected.greedy)


def test_the_number_of_threads_changes_not_a_bit(taught, items):
    expected = score(*taught["llama"], *items, batch_size=2)
    torch.set_num_threads(3)
    found = score(*taught["llama"], *items, batch_size=2)
    assert torch.get_num_threads() == 3
    assert torch.equal(found.log_prob, expected.log_prob)
    assert torch.equal(found.greedy, expected.greedy)
    assert not found.log_prob.requires_grad


@pytest.mark.parametrize(
    "config",
    [
        MambaConfig(hidden_size=16, num_hidden_layers=1, state_size=4, vocab_size=420),
        MistralConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, sliding_window=8, vocab_size=420,
        ),
        BloomConfig(hidden_size=16, n_layer=1, n_head=2, vocab_size=420),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_models_that_remember_in_another_way(config, tokenizer, items):
    """State spaces, sliding windows, positions without embeddings."""
    odd = Loaded(build_model(config, seed=0).eval().double(), tokenizer)
    prompts, targets = (part[::2] for part in items)
    scores = score(*odd, prompts, targets, batch_size=4)
    expected = [alone(odd, *item) for item in zip(prompts, targets, strict=True)]
    # Mamba's scan is in float32, whatever the model is.
    assert scores.log_prob.tolist() == pytest.approx([e[0] for e in expected], rel=0, abs=1e-5)


def test_many_targets_of_one_prompt_are_split_into_batches(taught, items, monkeypatch):
    monkeypatch.setattr("interp_rc.models.scoring.MOST_TARGETS", 2)
    found = score(*taught["llama"], *items)
    monkeypatch.undo()
    expected = score(*taught["llama"], *items)
    torch.testing.assert_close(found.log_prob, expected.log_prob, rtol=1e-6, atol=1e-5)


def test_the_split_of_a_text_may_fall_anywhere_even_inside_a_token(taught, told):
    loaded = taught["gpt2"]
    text = told.documents[1].text
    cuts = range(len(text))
    scores = score(*loaded, [text[:cut] for cut in cuts], [text[cut:] for cut in cuts])
    expected = [alone(loaded, text[:cut], text[cut:]) for cut in cuts]
    assert scores.log_prob.tolist() == pytest.approx([e[0] for e in expected], rel=1e-6, abs=1e-5)
    assert scores.n_tokens.tolist() == [e[1] for e in expected]
    assert len(set(scores.n_tokens.tolist())) < len(cuts) - 10  # most cuts fall inside a token


def test_a_text_scores_as_its_prompt_and_its_target_together(tiny, told):
    prompts = [query.prompt for query in told.queries[:8]]
    targets = [query.target for query in told.queries[:8]]
    nothing = [""] * len(prompts)
    wholes = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
    whole, first, second = (
        score(*tiny, *pair) for pair in ((nothing, wholes), (nothing, prompts), (prompts, targets))
    )
    torch.testing.assert_close(
        whole.log_prob, first.log_prob + second.log_prob, rtol=1e-6, atol=1e-5
    )
    assert torch.equal(whole.n_tokens, first.n_tokens + second.n_tokens)


@pytest.mark.slow
def test_teacher_forcing_may_stand_for_generation(tiny, told):
    """Where `greedy` is set, decoding says the target, and where it is not, something else."""
    model, tokenizer = tiny
    texts = [document.text for document in told.documents[:12]]
    cuts = [(text[:at], text[at:]) for text in texts for at in (text.index(" ", len(text) // 2),)]
    prompts, targets = ([cut[part] for cut in cuts] for part in (0, 1))
    scores = score(model, tokenizer, prompts, targets)
    decoded = complete(model, tokenizer, prompts, max_new_tokens=scores.n_tokens.tolist())
    assert scores.greedy.any()
    assert not scores.greedy.all()
    for item, (prompt, target) in enumerate(cuts):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        goal = tokenizer(prompt + target).input_ids[ids.shape[1] :]
        generated = model.generate(ids, max_new_tokens=len(goal), do_sample=False)
        same = generated[0, ids.shape[1] :].tolist() == goal
        assert scores.greedy[item].item() == same
        assert (decoded[item] == target) == same


def test_a_prompt_that_ends_inside_a_token_is_not_decoded_from_there(taught, told):
    """Decoding starts from the prompt's own tokens, which are others then."""
    model, tokenizer = taught["llama"]
    text = told.documents[0].text
    cuts = range(len(text) - 25, len(text))
    prompts, targets = [text[:cut] for cut in cuts], [text[cut:] for cut in cuts]
    scores = score(model, tokenizer, prompts, targets)
    decoded = complete(model, tokenizer, prompts, max_new_tokens=[25] * len(cuts))
    split = [
        tokenizer(text).input_ids[: -int(n)] != tokenizer(prompt).input_ids
        for prompt, n in zip(prompts, scores.n_tokens, strict=True)
    ]
    assert any(split)
    assert scores.greedy.tolist() == [not inside for inside in split]  # a text known by heart
    assert all(
        said == target
        for said, target, inside in zip(decoded, targets, split, strict=True)
        if not inside
    )
    assert any(
        said != target
        for said, target, inside in zip(decoded, targets, split, strict=True)
        if inside
    )


@pytest.fixture
def without_bos(taught):
    model, tokenizer = taught["qwen2"]
    bare = copy.deepcopy(tokenizer)
    bare.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    assert bare.bos_token_id not in bare("A text").input_ids
    return Loaded(model, bare)


def test_a_tokenizer_without_bos(without_bos, items):
    pairs = [pair for pair in zip(*items, strict=True) if pair[0]]
    scores = score(*without_bos, *zip(*pairs, strict=True))
    expected = [alone(without_bos, *pair) for pair in pairs]
    assert scores.log_prob.tolist() == pytest.approx([e[0] for e in expected], rel=1e-6, abs=1e-5)
    assert scores.n_tokens.tolist() == [e[1] for e in expected]


def test_nothing_before_the_target(without_bos):
    with pytest.raises(ScoringError, match="nothing stands before the target 'A text'; give a"):
        score(*without_bos, ["A prompt", ""], [" and more", "A text"])


def test_an_empty_target(taught):
    with pytest.raises(ScoringError, match="the target after 'A prompt' is empty; give it a text"):
        score(*taught["llama"], ["A prompt"], [""])


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_a_text_longer_than_the_context(taught, shape):
    model, tokenizer = taught[shape]
    fits = " a" * 95
    assert len(tokenizer(fits).input_ids) == 96
    score(model, tokenizer, [""], [fits])
    with pytest.raises(ScoringError, match="has 97 tokens; the model reads 96"):
        score(model, tokenizer, [fits], [" a"])


def test_lists_of_unequal_length(taught):
    with pytest.raises(ValueError, match="shorter"):
        score(*taught["llama"], ["A prompt"], [])


def test_nothing_to_score(taught):
    assert score(*taught["llama"], [], []).log_prob.shape == (0,)


def test_progress_counts_every_item_once(taught, items):
    ticks = []
    score(*taught["llama"], *items, batch_size=3, tick=ticks.append)
    assert sum(ticks) == len(items[0])
    assert len(ticks) > 3
