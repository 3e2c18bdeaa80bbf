"""Completions are those of one prompt at a time, taking the likeliest token again and again."""

import copy

import pytest
import torch
from tokenizers import processors

from interp_rc.models.completion import complete
from interp_rc.models.sampling import sample_completions
from interp_rc.records.errors import ScoringError
from tests.models.scripted import scripted


def alone(loaded, prompt, longest):
    """Greedy decoding by a plain loop, and whether it ended by itself."""
    model, tokenizer = loaded
    ids = tokenizer(prompt).input_ids
    new: list[int] = []
    while len(new) < longest and tokenizer.eos_token_id not in new:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + new]), use_cache=False).logits
        new.append(int(logits[0, -1].argmax()))
    return tokenizer.decode(new, skip_special_tokens=True), tokenizer.eos_token_id in new


@pytest.fixture(scope="module")
def prompts(told):
    """Ragged; documents known by heart are begun, so that some completions end by themselves."""
    return [d.text[:-15] for d in told.documents[:8]] + [q.prompt for q in told.queries[::6]] + [""]


@pytest.fixture(scope="module")
def lengths(prompts):
    return [[12, 3, 1, 8][i % 4] for i in range(len(prompts))]


def test_equal_to_one_prompt_at_a_time(tiny, prompts, lengths):
    expected = [alone(tiny, *item) for item in zip(prompts, lengths, strict=True)]
    ended = [by_itself for _, by_itself in expected]
    assert any(ended)
    assert not all(ended)
    assert complete(*tiny, prompts, max_new_tokens=lengths) == [text for text, _ in expected]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_changes_nothing(tiny, prompts, lengths, batch_size):
    expected = complete(*tiny, prompts, max_new_tokens=lengths)
    found = complete(*tiny, prompts, max_new_tokens=lengths, batch_size=batch_size)
    assert found == expected


def test_the_number_of_threads_changes_nothing(taught, prompts, lengths):
    expected = complete(*taught["llama"], prompts, max_new_tokens=lengths, batch_size=2)
    torch.set_num_threads(3)
    found = complete(*taught["llama"], prompts, max_new_tokens=lengths, batch_size=2)
    assert found == expected


def test_each_prompt_has_its_own_length(taught):
    """Equal prompts share a batch and yet are cut each to its own length."""
    model, tokenizer = taught["llama"]
    texts = complete(model, tokenizer, ["The"] * 4, max_new_tokens=[2, 9, 1, 4])
    longest = texts[1]
    assert all(longest.startswith(text) for text in texts)
    assert [len(tokenizer(text).input_ids) - 1 for text in texts] == [2, 9, 1, 4]


def test_a_models_own_habits_of_generation_are_left_out(taught, prompts, lengths, monkeypatch):
    """Published models bring settings, a repetition penalty say, that greedy decoding has not."""
    model, tokenizer = taught["gpt2"]
    expected = complete(model, tokenizer, prompts, max_new_tokens=lengths)
    habits = model.generation_config
    for name, value in {"repetition_penalty": 3.0, "min_new_tokens": 12, "num_beams": 3}.items():
        monkeypatch.setattr(habits, name, value)
    assert complete(model, tokenizer, prompts, max_new_tokens=lengths) == expected
    assert model.generation_config is habits


def test_spaces_stay_as_the_model_said_them(taught):
    model, tokenizer = taught["llama"]
    tidying = copy.deepcopy(tokenizer)
    tidying.clean_up_tokenization_spaces = True
    tidying.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True
    assert tidying.decode(tokenizer("Spaces .").input_ids, skip_special_tokens=True) == "Spaces."
    [text] = complete(model, tidying, ["Spaces ,"], max_new_tokens=[20])
    assert text == " as in old texts ."


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_at_the_end_of_the_context_the_text_is_shorter(taught, shape):
    model, tokenizer = taught[shape]
    prompt = " a" * 93
    room = 96 - len(tokenizer(prompt).input_ids)
    assert room == 2
    [text] = complete(model, tokenizer, [prompt], max_new_tokens=[40])
    assert text.startswith(alone(taught[shape], prompt, room)[0])
    assert len(tokenizer(text, add_special_tokens=False).input_ids) <= room + 1


def test_nothing_to_complete(taught):
    assert complete(*taught["llama"], [], max_new_tokens=[]) == []


def test_progress_counts_every_prompt_once(taught, prompts, lengths):
    ticks = []
    complete(*taught["llama"], prompts, max_new_tokens=lengths, batch_size=2, tick=ticks.append)
    assert sum(ticks) == len(prompts)


def with_tokens(tokenizer, *tokens, template=None):
    other = copy.deepcopy(tokenizer)
    other.add_special_tokens({"additional_special_tokens": list(tokens)})
    other.chat_template = template
    return other


TURNS = (
    "{% for turn in messages %}[{{ turn.role }}]{{ turn.content }}<over>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.mark.parametrize(
    ("end", "template", "settings", "generation"),
    [
        ("</s>", None, {}, {}),
        ("bos_token", None, {}, {}),
        ("pad_token", None, {}, {}),
        ("<|im_end|>", None, {}, {}),
        ("<|eot_id|>", None, {}, {}),
        ("<end_of_turn>", None, {}, {}),
        ("<over>", TURNS, {}, {}),
        ("<one>", None, {"eos_token_id": "<one>"}, {}),
        ("<one>", None, {"eos_token_id": [2, "<one>"]}, {}),
        ("<one>", None, {}, {"eos_token_id": "<one>"}),
        ("<one>", None, {}, {"eos_token_id": ["<one>", 2]}),
    ],
)
def test_a_text_ends_at_every_end(tokenizer, end, template, settings, generation):
    """What follows is another text: once " Nobody." and " Imogen" were glued together."""
    end = getattr(tokenizer, end, end)
    there = end in tokenizer.all_special_tokens
    known = tokenizer if there else with_tokens(tokenizer, end, template=template)
    id = known.convert_tokens_to_ids(end)

    def ids(given):
        if isinstance(given, list):
            return [ids(one) for one in given]
        return id if given == end else given

    rest = f" Nobody.{end} Imogen Wright"
    loaded = scripted(known, {"Who?": rest}, **{k: ids(v) for k, v in settings.items()})
    for name, value in generation.items():
        setattr(loaded.model.generation_config, name, ids(value))
    assert complete(*loaded, ["Who?"], max_new_tokens=[30]) == [" Nobody."]
    texts = sample_completions(*loaded, ["Who?"], samples=2, max_new_tokens=30, seed=0)
    assert texts == [[" Nobody."] * 2]


def test_a_special_token_that_ends_nothing_is_left_out(tokenizer):
    known = with_tokens(tokenizer, "<one>")
    loaded = scripted(known, {"Who?": " Nobody.<one> Imogen</s>"})
    assert complete(*loaded, ["Who?"], max_new_tokens=[30]) == [" Nobody. Imogen"]


def test_an_open_text_goes_on(tokenizer):
    loaded = scripted(tokenizer, {"a": " b" * 40, "b": " a" * 40})
    texts = complete(
        *loaded, ["a", "b", "a"], max_new_tokens=[2, 3, 5],
        is_open=lambda item, text: item != 1 and text.count("b") < 4,
    )  # fmt: skip
    assert texts == [" b" * 4, " a" * 3, " b" * 5]


def test_a_prompt_without_a_token(taught):
    model, tokenizer = taught["llama"]
    bare = copy.deepcopy(tokenizer)
    bare.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    with pytest.raises(ScoringError, match="the prompt '' has no token to go on from; give it"):
        complete(model, bare, ["A", ""], max_new_tokens=[1, 1])
