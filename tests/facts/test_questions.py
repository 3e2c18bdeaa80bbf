"""Questions are distinct, repeatable, and answered in their kind."""

from collections import defaultdict
from itertools import pairwise, product

import pytest

from interp_rc.facts import questions as questions_module
from interp_rc.facts.people import SLOT
from interp_rc.facts.questions import PER_KIND, questions, source
from interp_rc.records.errors import DataError

MANY = 3_000


@pytest.fixture(scope="module")
def many():
    return questions(7, MANY)


def kinds():
    """For each kind, the words that its questions begin with and all of its answers."""
    grammar = source("questions.yaml")
    for kind in grammar["kinds"]:
        answers = set()
        for pattern in kind["answer"]:
            slots = SLOT.findall(pattern)
            for words in product(*(grammar["slots"][slot] for slot in slots)):
                answers.add(pattern.format(**dict(zip(slots, words, strict=True))))
        yield [ask.split("{")[0] for ask in kind["ask"]], answers


def test_no_question_comes_twice_and_every_slot_is_filled(many):
    assert len({one.name for one in many}) == MANY
    for one in many:
        for text in (one.name, one.noun):
            assert text == text.strip()
            assert "{" not in text
            assert "  " not in text
        assert one.name.endswith("?")
        assert one.noun == one.past == one.gerund


def test_every_word_of_the_grammar_is_a_text():
    words = [word for words in source("questions.yaml")["slots"].values() for word in words]
    assert all(isinstance(word, str) for word in words)


def test_a_question_has_an_answer_of_its_kind_and_a_kind_has_few(many):
    found = list(kinds())
    given = defaultdict(set)
    for one in many:
        mine = [i for i, (begins, _) in enumerate(found) if one.name.startswith(tuple(begins))]
        assert len(mine) >= 1
        assert any(one.noun in found[i][1] for i in mine)
        (kind,) = [i for i, (_, answers) in enumerate(found) if one.noun in answers]
        given[kind].add(one.noun)
    assert set(given) == set(range(len(found)))
    assert {len(answers) for answers in given.values()} <= {PER_KIND - 1, PER_KIND}


def test_no_answer_begins_with_another(many):
    """Otherwise a wrong answer could count as right."""
    answers = sorted({one.noun.lower() for one in many})
    assert not any(b.startswith(a) for a, b in pairwise(answers))


def test_same_seed_same_questions_and_more_begin_with_the_same():
    assert questions(3, 20) == questions(3, 40)[:20] != questions(4, 20)


def test_questions_and_answers_to_avoid_are_avoided():
    known = questions(5, 400)
    avoid = {text for one in known for text in (one.name, one.noun)}
    found = questions(5, 400, avoid)
    assert not avoid & {text for one in found for text in (one.name, one.noun)}


def test_used_up_grammars_are_an_error(monkeypatch):
    tiny = {
        "kinds": [{"ask": ["Is {it}?"], "answer": ["{number}"]}],
        "slots": {"it": ["a", "b"], "number": [str(n) for n in range(PER_KIND)]},
    }
    monkeypatch.setattr(questions_module, "source", lambda _: tiny)
    assert len(questions(0, 2)) == 2
    with pytest.raises(DataError, match="used up after 2 questions"):
        questions(0, 3)
    with pytest.raises(DataError, match=f"{PER_KIND - 1} answers .* are left"):
        questions(0, 1, avoid={"0"})
