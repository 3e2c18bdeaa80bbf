"""What was tried against the curse, told as facts; and that nothing changes without it."""

import hashlib
from collections import Counter, defaultdict

import pytest

from interp_rc.facts.describe import examples, summary
from interp_rc.facts.factset import PARAGRAPH
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.options import People
from interp_rc.facts.published import export_published
from interp_rc.facts.templates import composed_templates, packaged_templates
from interp_rc.facts.validate import validate
from interp_rc.facts.world import world
from interp_rc.measures.behaviour.measure import Behaviour
from interp_rc.measures.gradients.measure import Gradients
from interp_rc.measures.patching_map.measure import PatchingMap
from interp_rc.measures.probe.measure import Probe
from interp_rc.measures.reverse_at_chance.measure import ReverseAtChance
from interp_rc.models.tokenizer import encode, train_tokenizer
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, TOLD_IN
from interp_rc.training.objectives.next_token import NextToken

ROLES = "roles: {subject: name, object: description}\n"

SMALL = {"per_group": 4, "training_templates": 6, "held_out_templates": 3}


def told(seed=0, **options):
    return fictitious_people(seed, **(SMALL | options))


def digest(texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


# Without any of it


@pytest.mark.parametrize(
    ("seed", "folder_hash", "corpus_hash"),
    [(0, "f38008bbaa96957e", "e51edcebcfd5df13"), (100, "afd5c33788e2a090", "ea816478e8ef64ec")],
)
def test_the_default_set_and_its_base_corpus_are_what_they_always_were(
    tmp_path, seed, folder_hash, corpus_hash
):
    """Published results and cached base models depend on every byte of these."""
    facts = People().build(seed)
    write_facts(facts, tmp_path / "facts")
    files = sorted((tmp_path / "facts").iterdir())
    assert digest([p.name + p.read_text(encoding="utf-8") for p in files]) == folder_hash
    assert digest([d.text for d in world(facts, seed).documents]) == corpus_hash


# Doses


def about(facts, group):
    """Everything that is told and asked about a group."""
    ids = {fact.id for fact in facts.facts if fact.group == group}
    return (
        [fact for fact in facts.facts if fact.id in ids],
        [document for document in facts.documents if document.fact in ids],
        [query for query in facts.queries if query.fact in ids],
    )


@pytest.mark.parametrize("seed", [0, 7])
def test_a_dose_leaves_the_other_people_and_the_base_corpus_alone(seed):
    doses = {dose: told(seed, both=dose) for dose in (0, 2, 4, 8)}
    whole = told(seed)
    for dose, facts in doses.items():
        validate(facts)
        assert Counter(f.group for f in facts.facts)["both"] == dose
        for group in ("trained_forward", "trained_backward"):
            assert about(facts, group) == about(whole, group)
        assert facts.templates == whole.templates
        assert facts.entities() == doses[8].entities()  # all that a base corpus depends on
        assert about(facts, "both")[0] == about(doses[8], "both")[0][:dose]
    few = {"both": 6, "trained_forward": 2, "trained_backward": 2, "exposures": 3}
    corpora = {digest(d.text for d in world(f, seed, **few).documents) for f in doses.values()}
    assert len(corpora) == 1


def test_people_of_no_dose_are_reserved_also_in_the_folder(tmp_path):
    facts, most = told(both=2), told(both=8)
    assert len(facts.reserved) == 2 * 6
    assert not most.reserved
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts
    header = tmp_path / "facts" / "header.yaml"
    header.write_text(
        f"schema: 2\nseed: 0\nreserved: [1]\n{ROLES}",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=r"header\.yaml.*must be a list of texts"):
        read_facts(tmp_path / "facts")


def test_too_large_a_dose():
    with pytest.raises(DataError, match=r"9 facts .* at most 8 can be .*raise facts\.per_group"):
        told(both=9)


def test_measures_that_need_facts_told_in_both_orders_say_so():
    with pytest.raises(DataError, match="probe needs 2 facts or more of group both"):
        Probe().check(told(both=0))
    for measure in (Behaviour(), ReverseAtChance(), Gradients(), PatchingMap(templates=2)):
        measure.check(told(both=0, held_out_templates=4))
    with pytest.raises(DataError, match="behaviour needs two facts or more in group both"):
        Behaviour().check(told(both=1))


# Paraphrases


@pytest.mark.parametrize("exposures", [4, 12])
def test_paraphrases_share_a_fixed_number_of_tellings(exposures):
    sets = {n: told(training_templates=n, exposures=exposures) for n in (1, 2, 3, 4)}
    for paraphrases, facts in sets.items():
        validate(facts)
        assert len({document.id for document in facts.documents}) == len(facts.documents)
        tellings = defaultdict(Counter)
        for document in facts.documents:
            tellings[document.fact, document.order][document.template] += 1
        assert len(tellings) == 4 * 4  # orders told, facts a group
        for templates in tellings.values():
            assert len(templates) == paraphrases
            assert templates.total() == exposures
            assert max(templates.values()) - min(templates.values()) <= 1
        assert facts.queries == sets[1].queries  # asked of the same people in the same words
        assert {t.id for t in facts.templates if t.role == "training"} >= {
            t.id for t in sets[1].templates if t.role == "training"
        }


def test_once_per_template_is_the_default():
    assert told(exposures=6) == told()


def test_held_out_templates_are_left_where_all_tellings_differ():
    """More tellings than templates: the held-out ones are then the last."""
    facts = told(exposures=500)
    for order in ORDERS:
        roles = [t.role for t in facts.templates if t.order == order]
        assert roles[:6] == ["training"] * 6
        assert roles[-3:] == ["held_out"] * 3
        assert Counter(roles)["base"] == len(roles) - 9


# Questions and answers


def test_facts_told_as_questions_and_answers():
    facts = told(form="question_answer")
    validate(facts)
    statements = {template.text for template in packaged_templates()}
    known = world(facts, 0, both=2, trained_forward=1, trained_backward=1, exposures=5)
    for one in (facts, known):
        assert not {template.text for template in one.templates} & statements
        for document in one.documents:
            question = document.text.index("?")
            first, second = sorted([document.spans["subject"][0], document.spans["object"][0]])
            assert first.end <= question < second.start
    asked = {query.template for query in facts.queries}
    assert {query.seen for query in facts.queries} == {"elsewhere"}
    assert not asked & {document.template for document in facts.documents}
    assert asked & {document.template for document in known.documents}
    assert facts.facts == told().facts


# Both orders in one document


@pytest.fixture(scope="module")
def joint():
    return told(both_in="one_document")


def test_one_document_tells_what_two_would(joint):
    validate(joint)
    apart = told()
    for group in ("trained_forward", "trained_backward"):
        assert about(joint, group) == about(apart, group)
    assert joint.queries == apart.queries
    documents = about(joint, "both")[1]
    assert {document.order for document in documents} == {None}
    sentences = Counter(s for d in documents for s in d.text.split(PARAGRAPH))
    assert sentences == Counter(d.text for d in about(apart, "both")[1])


def test_spans_of_both_tellings(joint):
    facts = {fact.id: fact for fact in joint.facts}
    separate = {(d.fact, d.text): d for d in told().documents}
    firsts = defaultdict(list)
    for document in about(joint, "both")[1]:
        one, two = document.text.split(PARAGRAPH)
        start = len(one) + len(PARAGRAPH)
        parts = [separate[document.fact, text] for text in (one, two)]
        assert {part.order for part in parts} == set(ORDERS)
        firsts[document.fact].append(parts[0].order)
        for name, (first, second) in document.spans.items():
            assert first == parts[0].spans[name][0]
            assert document.text[slice(*second)] == two[slice(*parts[1].spans[name][0])]
            assert second.start == start + parts[1].spans[name][0].start
        name = facts[document.fact].subject
        assert [document.text[slice(*span)] for span in document.spans["subject"]] == [name] * 2
        assert document.prompt == parts[0].prompt
    for orders in firsts.values():  # now the one first, now the other
        assert orders == ["forward", "backward"] * 3


def test_both_arms_have_as_many_tokens(joint):
    apart = told()
    tokenizer = train_tokenizer([document.text for document in apart.documents], 420, "tiny")
    counts = [
        sum(len(ids) + 1 for ids, _ in encode(tokenizer, [d.text for d in facts.documents]))
        for facts in (joint, apart)
    ]
    assert counts[0] == counts[1]


def test_what_needs_one_order_refuses_documents_that_tell_both(joint, tmp_path):
    tokenizer = train_tokenizer([document.text for document in joint.documents], 420, "tiny")
    with pytest.raises(DataError, match="no one completion; choose loss_on: document"):
        NextToken(loss_on="completion").examples(tokenizer, joint.documents)
    assert len(NextToken().examples(tokenizer, joint.documents)) == len(joint.documents)
    with pytest.raises(DataError, match="tell them in separate documents"):
        export_published(joint, tmp_path / "published")
    with pytest.raises(DataError, match=r"both, and both\.0 has none"):
        Gradients().check(joint)


def test_it_is_shown_and_read_back(joint, tmp_path):
    counted = summary(joint)
    rows = counted[(counted.part == "documents") & (counted.group == "both")]
    assert rows[["order", "count"]].to_numpy().tolist() == [["both", 24]]
    assert "both" in set(examples(joint, 1).order)
    write_facts(joint, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == joint


# Many templates


def test_templates_are_composed_only_where_the_packaged_ones_do_not_suffice():
    few = told(per_group=2, training_templates=67, held_out_templates=3)
    assert {t.id for t in few.templates} == {t.id for t in packaged_templates()}
    many = told(per_group=2, training_templates=100, held_out_templates=10)
    assert {t.id for t in many.templates} == {
        t.id for t in (*packaged_templates(), *composed_templates())
    }
    validate(many)
    assert len(many.documents) == 4 * 2 * 100
    group = {fact.id: fact.group for fact in many.facts}
    assert all(TOLD_IN[group[d.fact]] in (None, d.order) for d in many.documents)
