"""Templates hold both entities once, in their order, and know where they put them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.facts.people import people
from interp_rc.facts.templates import (
    IN_ORDER,
    SLOTS,
    Template,
    composed_templates,
    packaged_templates,
)
from interp_rc.records.errors import DataError

STATEMENTS, QUESTIONS = packaged_templates(), packaged_templates("question_answer")
COMPOSED = composed_templates()
PACKAGED = [*STATEMENTS, *QUESTIONS, *COMPOSED]
words = st.text(min_size=1).filter(lambda text: text == text.strip() and "{" not in text)


def test_at_least_fifty_templates_in_each_order():
    for pool, least in ((STATEMENTS, 50), (QUESTIONS, 40), (COMPOSED, 110)):
        for order in IN_ORDER:
            assert sum(template.order == order for template in pool) >= least


def test_packaged_templates_are_distinct():
    assert len({template.id for template in PACKAGED}) == len(PACKAGED)
    assert len({template.text for template in PACKAGED}) == len(PACKAGED)


def test_no_two_packaged_templates_ask_in_the_same_words():
    """A held-out prompt would otherwise be one that was trained on."""
    person = people(0, 1)[0]
    prompts = [template.about(person).prompt for template in PACKAGED]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("pool", [QUESTIONS, COMPOSED], ids=["questions", "composed"])
def test_no_prompt_begins_another_one(pool):
    """The shorter would be continued as the longer, and recall look worse than it is."""
    person = people(0, 1)[0]
    prompts = sorted(template.about(person).prompt for template in pool)
    assert not [b for a, b in pairwise(prompts) if b.startswith(a)]


def test_packaged_templates_serve_the_base_corpus_until_a_role_is_given():
    assert {(template.role, template.in_base) for template in PACKAGED} == {("base", True)}


@pytest.mark.parametrize("template", PACKAGED, ids=lambda template: template.id)
def test_every_template_fills(template):
    person = people(1, 1)[0]
    filled = template.about(person)
    assert "{" not in filled.text
    assert filled.text.startswith(filled.prompt + filled.target)
    assert filled.prompt == template.fill(person.name, person.description(template.form)).prompt
    assert filled.target.startswith(" ")
    covered = {name: filled.text[slice(*spans[0])] for name, spans in filled.spans.items()}
    assert covered == {"subject": person.name, "object": person.description(template.form)}


@given(st.sampled_from(PACKAGED), words, words)
def test_spans_cover_whatever_is_filled_in(template, name, description):
    filled = template.fill(name, description)
    value = {"name": name, "description": description}
    for slot, entity in SLOTS.items():
        assert filled.text[slice(*filled.spans[entity][0])] == value[slot]
    assert filled.prompt + filled.target == filled.text[: len(filled.prompt + filled.target)]
    assert filled.target.strip() == value[IN_ORDER[template.order][1]]
    assert not filled.prompt.endswith(" ")


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("forward", "{description} is {name}."),
        ("backward", "{name} is {description}."),
        ("forward", "{name} is here."),
        ("forward", "{name} and {name} are {description}."),
        ("backward", "{description} or {description}: {name}"),
        ("forward", "nobody"),
    ],
)
def test_a_template_without_both_slots_in_order_is_an_error(order, text):
    with pytest.raises(DataError, match=r"template t\.1 must hold"):
        Template("t.1", order, text, "noun")
