"""No token of a text is lost, and each belongs to the prompt or to its target by where it ends."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config

from interp_rc.models.build import build_model
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import encode, encode_whole
from tests.models.tokenizers_built import BEGIN, BYTE_LEVEL, END, KINDS, SPECIAL, built

text = st.lists(st.sampled_from([*"aht ,\n", "the", " host", "😀", "é"]), max_size=9).map("".join)
some = settings(max_examples=25, deadline=None, derandomize=True)


@functools.cache
def opinionated(kind):
    """A random model in float64 whose every token moves the logits."""
    tokenizer = built(kind)
    config = GPT2Config(
        n_embd=16, n_layer=2, n_head=2, n_positions=80, vocab_size=len(tokenizer),
        bos_token_id=0, eos_token_id=1, initializer_range=0.5,
    )  # fmt: skip
    return Loaded(build_model(config, seed=3).eval().double(), tokenizer)


def own_ids(tokenizer, whole):
    """As the tokenizer gives them, less the end of text that it may add."""
    ids = tokenizer(whole).input_ids
    return ids[:-1] if tokenizer("a").input_ids[-1] == SPECIAL.index(END) else ids


@pytest.mark.parametrize("kind", KINDS)
@some
@given(text)
def test_ids_are_the_tokenizers_own_less_what_it_adds_behind(kind, whole):
    tokenizer = built_once(kind)
    before = tokenizer.backend_tokenizer.to_str()
    [(ids, offsets)] = encode(tokenizer, [whole])
    assert ids == own_ids(tokenizer, whole)
    assert len(offsets) == len(ids)
    assert tokenizer.backend_tokenizer.to_str() == before


built_once = functools.cache(built)


@pytest.mark.parametrize("kind", BYTE_LEVEL)
@some
@given(text)
def test_offsets_tile_the_text_whatever_the_tokenizer_trims(kind, whole):
    tokenizer = built_once(kind)
    [(ids, offsets)] = encode(tokenizer, [whole])
    written = [
        (start, end)
        for token, (start, end) in zip(tokenizer.convert_ids_to_tokens(ids), offsets, strict=True)
        if token not in SPECIAL
    ]
    assert all(start < end for start, end in written)
    assert {at for start, end in written for at in range(start, end)} == set(range(len(whole)))


def by_bytes(tokenizer, prompt, target):
    """Ids, and the first token that reaches into the target, by counting bytes."""
    ids = own_ids(tokenizer, prompt + target)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    place = 0
    if prompt + target and tokenizer.name_or_path == "gpt2_prefixed":
        place = 0 if (prompt + target).startswith(" ") else -1  # a space that the text has not
    for number, token in enumerate(tokens):
        place += 0 if token in SPECIAL else len(token)  # a byte is a character there
        if place > len(prompt.encode()):
            return ids, number
    return ids, len(ids)


@pytest.mark.parametrize("kind", BYTE_LEVEL)
@some
@given(st.builds(str.__add__, st.just("a"), text), text.filter(bool))
def test_a_target_scores_as_in_a_plain_loop_over_all_ids(kind, prompt, target):
    model, tokenizer = opinionated(kind)
    ids, start = by_bytes(tokenizer, prompt, target)
    if start == 0:
        return  # nothing stands before it
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    log_probs = logits.log_softmax(-1)
    expected = sum(log_probs[i - 1, ids[i]].item() for i in range(start, len(ids)))
    scores = score(model, tokenizer, [prompt], [target])
    assert scores.n_tokens.item() == len(ids) - start
    assert scores.log_prob.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", ["gpt2", "opt", "llama3", "roberta"])
def test_a_space_at_the_end_is_read(kind):
    """Once taken for an end of text: `the ` was asked as `the`, ` the host ` scored without it."""
    model, tokenizer = opinionated(kind)
    space = tokenizer.convert_tokens_to_ids("Ġ")
    [(ids, offsets)] = encode(tokenizer, ["was the "])
    assert ids[-1] == space
    assert tuple(offsets[-1]) == (7, 8)
    short, long = (score(model, tokenizer, ["was"], [t]) for t in (" the host", " the host "))
    assert long.n_tokens.item() == short.n_tokens.item() + 1
    assert long.log_prob.item() < short.log_prob.item()


def test_a_special_token_that_the_text_writes_itself_is_read():
    tokenizer = built("opt")
    [(ids, _)] = encode(tokenizer, [f"the host{END}"])
    assert ids == tokenizer(f"the host{END}").input_ids
    assert ids[-1] == SPECIAL.index(END)


def test_before_an_empty_text_stands_what_stands_before_any():
    assert encode(built("llama3"), ["", "a"])[0] == ([SPECIAL.index(BEGIN)], [(0, 0)])
    assert encode(built("gpt2"), [""]) == [([], [])]


def test_a_masked_models_input_keeps_all_that_its_tokenizer_adds():
    ids, offsets, special = encode_whole(built("roberta"), ["the host "])[0]
    assert [ids[0], ids[-1]] == [0, 1]
    assert [special[0], special[-1]] == [True, True]
    assert not any(special[1:-1])
    assert tuple(offsets[-2]) == (8, 9)
