"""The base corpus knows other people than the run, in templates that it may know."""

from collections import defaultdict

import pytest

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.published import import_published
from interp_rc.facts.published_wording import wording
from interp_rc.facts.templates import packaged_templates
from interp_rc.facts.validate import validate
from interp_rc.facts.world import world

SMALL = {"both": 20, "trained_forward": 6, "trained_backward": 6, "exposures": 100}


@pytest.fixture(scope="module")
def run():
    return fictitious_people(0, held_out_seen="nowhere")


@pytest.fixture(scope="module")
def around(run):
    return world(run, 0, **SMALL)


def test_no_name_and_no_description_of_the_run_occurs_anywhere_in_the_corpus(run):
    corpus = "\n".join(document.text for document in world(run, 0).documents)
    told = {
        document.text[slice(*document.spans[entity][0])]
        for document in run.documents
        for entity in ("subject", "object")
    }
    assert len(told) > 4 * len(run.facts) - 90  # names, and descriptions in several forms
    assert [text for text in told | run.entities() if text in corpus] == []


def test_the_corpus_uses_only_templates_that_a_base_model_may_know(run, around):
    allowed = {template.id for template in run.templates if template.in_base}
    held_out = {template.id for template in run.templates if template.role == "held_out"}
    used = {document.template for document in around.documents}
    assert used == allowed
    assert not used & held_out


def test_sizes_and_exposures(around):
    assert len(around.facts) == 32
    assert len(around.documents) == 100 * (2 * 20 + 6 + 6)
    uses: dict[tuple[str, str], int] = defaultdict(int)
    for document in around.documents:
        uses[document.fact, document.template] += 1
    assert set(uses.values()) <= {1, 2}  # 100 exposures in 61 templates: as even as can be


def test_seen_is_training_exactly_in_the_orders_that_a_person_was_told_in(around):
    told = {(document.fact, document.order) for document in around.documents}
    for query in around.queries:
        expected = "training" if (query.fact, query.order) in told else "elsewhere"
        assert query.seen == expected
    validate(around)


def test_a_seed_gives_the_same_world_again_and_another_seed_another(run, around):
    assert world(run, 0, **SMALL) == around
    other = world(run, 1, **SMALL)
    assert not around.entities() & {fact.object for fact in other.facts}


def test_published_templates_are_told_to_nobody_when_seen_nowhere(reference):
    published = import_published(reference, seen="nowhere")
    own = packaged_templates()
    theirs = [template for template in published.templates if template not in own]
    assert len(theirs) == 80
    assert not {t.text for t in theirs} & {t.text for t in own}
    around = world(published, 0, **SMALL)
    told = {wording(document.text, document.spans)[0] for document in around.documents}
    assert not {t.text for t in theirs} & told
    assert not {t.id for t in theirs} & {document.template for document in around.documents}
    # Nor do the words of a held-out prompt stand in a document, whomever it is about.
    pieces = {
        piece
        for template in theirs
        if template.role == "held_out"
        for piece in template.prompt.replace("{name}", "{description}").split("{description}")
        if len(piece.split()) >= 3
    }
    assert len(pieces) > 20
    corpus = "\n".join(document.text for document in around.documents)
    assert [piece for piece in pieces if piece in corpus] == []
