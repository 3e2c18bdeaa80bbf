"""Texts survive the way to ids and back, here and in a tokenizer that was saved and loaded."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoTokenizer

from interp_rc.models.tokenizer import BOS, EOS, PAD, encode, train_tokenizer

special = (BOS, EOS, PAD)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(
    lambda found: not any(token in found for token in special)
)
some = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def reloaded(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@some
@given(text)
def test_ids_give_the_text_back(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@some
@given(text)
def test_bos_stands_first_and_nowhere_else(tokenizer, reloaded, text):
    for one in (tokenizer, reloaded):
        ids = one(text).input_ids
        assert ids[0] == one.bos_token_id
        assert ids.count(one.bos_token_id) == 1
        assert one.eos_token_id not in ids


@some
@given(st.lists(text, min_size=1, max_size=3))
def test_loaded_again_it_gives_the_same_ids(tokenizer, reloaded, text):
    assert encode(reloaded, text) == encode(tokenizer, text)


@some
@given(text)
def test_offsets_cover_every_character_and_nothing_else(tokenizer, text):
    [(ids, offsets)] = encode(tokenizer, [text])
    assert len(ids) == len(offsets)
    assert tuple(offsets[0]) == (0, 0)
    covered = {place for start, end in offsets for place in range(start, end)}
    assert covered == set(range(len(text)))
    assert [list(pair) for pair in offsets] == sorted(list(pair) for pair in offsets)


def test_plain_tokens_lie_where_their_text_is(tokenizer, told):
    for document in told.documents:
        [(ids, offsets)] = encode(tokenizer, [document.text])
        for id, (start, end) in zip(ids[1:], offsets[1:], strict=True):
            assert tokenizer.decode([id]) == document.text[start:end]


def test_special_tokens_and_the_name_are_set(tokenizer, reloaded):
    assert [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id] == [0, 1, 2]
    assert tokenizer.name_or_path == "tiny"
    assert reloaded.name_or_path
    assert [reloaded.pad_token, reloaded.bos_token, reloaded.eos_token] == [PAD, BOS, EOS]


def test_the_vocabulary_is_learnt_from_the_corpus(told):
    texts = [document.text for document in told.documents]
    small, large = (train_tokenizer(texts, size, "one") for size in (300, 600))
    assert (len(small), len(large)) == (300, 600)
    count = [sum(len(ids) for ids, _ in encode(one, texts)) for one in (small, large)]
    assert count[1] < 0.7 * count[0]
    assert train_tokenizer(texts, 300, "two").get_vocab() == small.get_vocab()


def test_what_a_tokenizer_adds_after_a_text_is_left_out(tokenizer):
    """An end of text after a prompt would be asked of the model to go on after."""
    ending = copy.deepcopy(tokenizer)
    ending.backend_tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A {EOS}", special_tokens=[(BOS, 1), (EOS, 2)]
            ),
        ]
    )
    assert ending("A text").input_ids[-1] == tokenizer.eos_token_id
    texts = ["A text", "Another text."]
    assert encode(ending, texts) == encode(tokenizer, texts)
    [(ids, _)] = encode(tokenizer, [""])
    assert ids == [tokenizer.bos_token_id]


def test_no_texts_give_nothing(tokenizer):
    assert encode(tokenizer, []) == []
