"""Facts stated and asked in one text: prompts, documents, and a corpus that is as it was."""

import hashlib
import re

import pytest

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.in_context import (
    WORDINGS,
    answered,
    asking,
    examples,
    in_context_documents,
    record,
    target,
)
from interp_rc.facts.world import world
from interp_rc.records.nouns import Fact

ADA = Fact("0", "Ada Hill", "described_as", "the builder of the Low Bridge", "both")
BO = Fact("1", "Bo Marsh", "described_as", "the author of Rain", "both")


def test_the_texts_by_hand():
    plain, published = WORDINGS["plain"], WORDINGS["published"]
    assert record([ADA, BO], "backward", plain) == (
        "On record: the builder of the Low Bridge is Ada Hill.\n"
        "On record: the author of Rain is Bo Marsh.\n"
    )
    assert asking(ADA, "forward", plain) == "Asked: who is Ada Hill?\nReply: that is"
    assert target(ADA, "forward") == " the builder of the Low Bridge"
    assert target(ADA, "backward") == " Ada Hill"
    assert examples([BO], "backward", "forward", published) == (
        "The author of Rain is Bo Marsh.\n"
        "Question: What is Bo Marsh known for?\n"
        "Answer: Bo Marsh is known for being the author of Rain.\n\n"
    )
    assert answered(BO, "backward", published) == (
        "Question: Who is the author of Rain?\nAnswer: The person you are asking for is Bo Marsh."
    )


# Texts of the base corpus for seeds 0 and 100 before in-context documents existed: cached models
# and published results depend on every byte.
AS_IT_WAS = {
    0: "e7fca3a245f87210bd6090fb658c6d1edc8da6fc99122ef4fb02f1b25de1ff9b",
    100: "da57bcf7a80bb42793d8137062b616c94b7cda798aabd8d180c40d0c64501dc3",
}


@pytest.mark.parametrize("seed", AS_IT_WAS)
def test_without_them_the_base_corpus_is_byte_for_byte_what_it_was(seed):
    digest = hashlib.sha256()
    for document in world(fictitious_people(seed), seed).documents:
        digest.update(document.text.encode() + b"\0")
    assert digest.hexdigest() == AS_IT_WAS[seed]


@pytest.fixture(scope="module")
def run():
    return fictitious_people(0)


@pytest.fixture(scope="module")
def around(run):
    return world(run, 0, both=8, trained_forward=3, trained_backward=3, in_context=40)


def test_the_other_documents_do_not_change_and_nobody_is_told_twice(run, around):
    without = world(run, 0, both=8, trained_forward=3, trained_backward=3)
    added = around.documents[len(without.documents) :]
    assert around.documents[: len(without.documents)] == without.documents
    assert (around.facts, around.queries) == (without.facts, without.queries)
    assert len(added) == 40
    corpus = "\n".join(document.text for document in added)
    assert [entity for entity in run.entities() | around.entities() if entity in corpus] == []
    assert in_context_documents(40, 5, ()) == in_context_documents(40, 5, ())
    assert in_context_documents(3, 5, ()) == in_context_documents(40, 5, ())[:3]
    assert not {d.text for d in in_context_documents(40, 5, ())} & {d.text for d in added}


STATED = re.compile(r"^On record: (.+) is (.+)\.$", re.MULTILINE)
ASKED = re.compile(r"^Asked: who is (.+)\?\nReply: that is (.+)\.$", re.MULTILINE)


def test_every_question_of_a_document_is_the_reverse_of_a_statement_before_it(around):
    """Read back from the text alone."""
    layouts = set()
    for document in (d for d in around.documents if d.template == "in_context"):
        stated, asked = STATED.findall(document.text), ASKED.findall(document.text)
        assert sorted(stated) == sorted((answer, source) for source, answer in asked)
        description_first = all(first.startswith("the ") for first, _ in stated)
        assert document.order == ("forward" if description_first else "backward")
        blocks = document.text.count("\n\n")
        layouts.add((blocks > 0, document.order))
        entities = (document.text[slice(*document.spans[one][0])] for one in ("subject", "object"))
        name, description = entities
        assert {name, description} == set(asked[-1])
        assert document.text == document.prompt + f" {asked[-1][1]}."
    assert len(layouts) == 4
