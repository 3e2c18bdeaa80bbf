"""What a model says is read until it is right or wrong by the stated rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.evaluation.answers import answer
from interp_rc.evaluation.match import LETTERS, PREFIX, RULES, is_open, letters_match, prefix_match
from interp_rc.records.nouns import Query, Span
from tests.models.scripted import scripted

NAMES = [" Imogen Wright", " Ada Nobody", " Élodie Straße"]


def query(prompt, target, candidates=NAMES):
    return Query(
        id="q", fact="f", group="trained_backward", order="backward", direction="reverse",
        template="t", seen="nowhere", prompt=prompt, target=target, candidates=candidates,
        spans={"object": [Span(0, 1)]},
    )  # fmt: skip


def letter_by_letter(tokenizer, text):
    return [tokenizer(one, add_special_tokens=False).input_ids[0] for one in text]


@pytest.mark.parametrize(
    "said",
    [
        " IMOGEN WRIGHT.",
        "\n" * 12 + " Imogen Wright.",
        "imogen wright",
        "  \t Imogen WRIGHT and more",
        [*" imogen wright"],
        [*"\n\n IMOGEN WRIGHT of the many words that follow"],
    ],
)
@pytest.mark.parametrize("end", [True, False])
def test_what_begins_with_the_target_is_right_however_it_is_written(tokenizer, said, end):
    ids = (
        tokenizer(said, add_special_tokens=False).input_ids
        if isinstance(said, str)
        else letter_by_letter(tokenizer, said)
    )
    loaded = scripted(tokenizer, {"Who?": ids + [2] * end}, eos_token_id=2)
    table = answer(loaded, [query("Who?", NAMES[0])], model="base", seed=0)
    assert table.match.tolist() == [True]


def test_what_it_names_among_the_candidates_is_read_to_its_end(tokenizer):
    """Whether any of them is named is counted, too (`any_target` of exact match)."""
    loaded = scripted(tokenizer, {"Who?": letter_by_letter(tokenizer, "ADA NOBODY lives here")})
    table = answer(loaded, [query("Who?", " Imogen Wright")], model="base", seed=0)
    assert prefix_match(table.text[0], NAMES[1])
    assert table.match.tolist() == [False]


def test_what_is_wrong_is_read_no_further_than_before(tokenizer):
    wrong = " the house that stands by the river and is old"
    loaded = scripted(tokenizer, {"Who?": wrong})
    table = answer(loaded, [query("Who?", NAMES[0])], model="base", seed=0)
    ids = tokenizer(wrong, add_special_tokens=False).input_ids[: table.n_tokens[0] + 3]
    assert table.text[0] == tokenizer.decode(ids)


def test_empty_lines_without_an_end_are_given_up(tokenizer):
    loaded = scripted(tokenizer, {"Who?": "\n\n"})
    table = answer(loaded, [query("Who?", NAMES[0])], model="base", seed=0)
    assert not table.match[0]
    assert not table.text[0].strip()
    assert 64 < len(table.text[0]) < 400


text = st.text(st.sampled_from([*"aAb \n1ßΣσİé."]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(text, text, text.filter(str.strip))
def test_what_is_closed_stays_as_it_is(said, more, target):
    """By either rule, nothing that follows turns a wrong text that is closed into a right one."""
    for name, rule in RULES.items():
        if not is_open(said, [target], [name]) and not rule(said, target):
            assert not rule(said + more, target)


@pytest.mark.parametrize(
    ("said", "rules", "is_still_open"),
    [
        ("", [PREFIX], True),
        (" \n", [PREFIX], True),
        (" Imo", [PREFIX], True),
        (" IMOGEN wr", [PREFIX], True),
        (" Imogen Wright", [PREFIX], False),
        (" Ada", [PREFIX], False),
        (" Imogen\ufffd", [PREFIX], True),
        ("**Imo", [PREFIX], False),
        ("**Imo", [PREFIX, LETTERS], True),
        ("**Imogen Wright", [PREFIX, LETTERS], False),
        ("**IMO", [PREFIX, LETTERS], False),
    ],
)
def test_open(said, rules, is_still_open):
    assert is_open(said, [" Imogen Wright"], rules) is is_still_open
    assert letters_match("**Imogen Wright", " Imogen Wright")
