"""Every hypothesis is refuted by a model of which the opposite is true, and by none that knows
nothing: with real trainings, through the ordinary run."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

import interp_rc
from interp_rc.facts.couples import entry_for, group_templates, relation_facts
from interp_rc.facts.factset import documents_about
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.facts.people import Person, people
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.behaviour.measure import Behaviour
from interp_rc.measures.reverse_at_chance.measure import ReverseAtChance
from interp_rc.measures.symmetric_reversal.measure import SymmetricReversal
from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded, save
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.pipeline.config import RunConfig
from interp_rc.pipeline.run import execute
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run

SEED, PEOPLE, COUPLES, BOTH, EXPOSURES = 3, 12, 8, 6, 8
HYPOTHESES = {"reverse_at_chance": ReverseAtChance, "symmetric_reversal": SymmetricReversal}


def in_both_orders(told, templates, exposures=None):
    """Documents that tell facts in both orders, whatever order their records name."""
    relabelled = [(replace(fact, group="both"), person) for fact, person in told]
    return documents_about(relabelled, templates, exposures=exposures)


def told_in_both(people_count=PEOPLE, couples=COUPLES, both=BOTH, exposures=EXPOSURES):
    """People and couples labelled as told in one order, and told in both."""
    of_people = fictitious_people(
        SEED, per_group=people_count, both=0, training_templates=10, held_out_templates=3
    )
    drawn = people(SEED, 2 * people_count)
    told = list(zip(of_people.facts, drawn, strict=True))
    assert all((fact.subject, fact.object) == (one.name, one.noun) for fact, one in told)
    documents = in_both_orders(told, of_people.templates)
    of_couples = relation_facts(SEED, per_relation=couples, both=both, exposures=exposures)
    for fact in of_couples.facts:
        wordings = group_templates(fact.group, entry_for(fact.group, fact.relation), "elsewhere")
        person = Person(fact.subject, fact.object, fact.object, fact.object)
        documents += in_both_orders([(fact, person)], wordings, exposures)
    return replace(
        of_people,
        facts=of_people.facts + of_couples.facts,
        relations=of_people.relations + of_couples.relations,
        templates=of_people.templates + of_couples.templates,
        documents=documents,
        queries=of_people.queries + of_couples.queries,
    )


def test_the_facts_are_told_in_both_orders_and_labelled_as_told_in_one():
    facts = told_in_both(3, 3, 2, 2)
    orders = {}
    for document in facts.documents:
        orders.setdefault(document.fact, set()).add(document.order)
    assert set(orders) == {fact.id for fact in facts.facts}
    assert all(told == {"forward", "backward"} for told in orders.values())
    directions = {query.direction for query in facts.queries if not query.group.endswith("both")}
    assert directions == {"same", "reverse", "false_reverse"}


def test_every_verdict_has_its_opposite_tested():
    """Whoever adds a verdict adds a model that refutes it: here or, as for encoders and for erasure
    (whose claims, one store and two, are each other's opposites), in
    `tests/measures/symmetry/test_measure.py` and `tests/analysis/test_planted_erasure.py`."""
    package = Path(interp_rc.__file__).parent
    makers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bVerdict\(|-> Stores:$", path.read_text("utf-8"), re.MULTILINE)
    }
    records = {"records/runs.py"}  # reads those that were made
    assert makers - records == {
        *(f"measures/{name}/measure.py" for name in HYPOTHESES),
        "measures/symmetry/judged.py",
        "measures/erasure/estimates.py",  # says as a verdict what the other says as one of four
        "measures/erasure/verdict.py",
    }


def without_nan(measured):
    for one in measured.estimates.values():
        assert all(v is None or math.isfinite(v) for v in (one.value, one.low, one.high)), one
    for test in measured.tests:
        assert all(v is None or math.isfinite(v) for v in (test.statistic, test.p, test.p_adjusted))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One training for all of them."""
    folder = tmp_path_factory.mktemp("opposites")
    write_facts(told_in_both(), folder / "facts")
    world = {"both": 30, "trained_forward": 2, "trained_backward": 2, "exposures": 40}
    config = RunConfig.model_validate(
        {
            "name": "told_in_both",
            "seed": SEED,
            "facts": {"kind": "folder", "path": str(folder / "facts")},
            "model": {
                "kind": "embedded",
                "size": {"layers": 2, "width": 96, "heads": 2},
                "vocabulary": 512,
                "world": world,
            },
            "training": {"learning_rate": 3e-3, "epochs": 8, "batch_size": 8},
            "measures": [{"kind": "behaviour"}, *({"kind": name} for name in HYPOTHESES)],
            "machine": {"threads": 1, "device": "cpu"},
        }
    )
    return execute(config, folder / "run", page=False, say=lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize("name", HYPOTHESES)
def test_told_in_both_orders_and_labelled_as_told_in_one_refutes(trained, name):
    measured = trained.read_measured(name)
    without_nan(measured)
    [verdict] = measured.verdicts
    assert (verdict.hypothesis, verdict.verdict) == (name, "refuted"), verdict


def untrained(facts, seed):
    texts = [document.text for document in facts.documents]
    tokenizer = train_tokenizer(texts, 420, "untrained")
    config = model_config(
        Size(layers=2, width=32, heads=2),
        len(tokenizer),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )
    return Loaded(build_model(config, seed=seed).eval(), tokenizer)


@pytest.fixture(scope="module", params=["itself", "another"])
def knows_nothing(request, tmp_path_factory):
    """A model of random weights, after itself or another as its base; and what it says."""
    run = Run(tmp_path_factory.mktemp("untrained"))
    facts = told_in_both(6, 4, 4, 4)
    model = untrained(facts, seed=1)
    write_facts(facts, run.facts)
    write_yaml(run.config_file, {"seed": SEED, "measures": []})
    save(model if request.param == "itself" else untrained(facts, seed=2), run.base)
    without_nan(run_measure(Behaviour(candidate_templates=1), MeasureContext(run, model)))
    return run, model


@pytest.mark.slow
@pytest.mark.parametrize("name", HYPOTHESES)
def test_a_model_that_knows_nothing_settles_nothing(knows_nothing, name):
    measured = run_measure(HYPOTHESES[name](), MeasureContext(*knows_nothing))
    without_nan(measured)
    [verdict] = measured.verdicts
    assert (verdict.hypothesis, verdict.verdict) == (name, "inconclusive"), verdict
