"""The measure of bilinear probes: what it writes, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.bilinear.measure import BilinearProbe, read_sides
from interp_rc.measures.bilinear.read import WHATS
from interp_rc.measures.bilinear.section import section
from interp_rc.models.load import save
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_yaml
from interp_rc.records.nouns import TRAINED
from interp_rc.records.runs import Run
from interp_rc.stats.power import power
from interp_rc.tools.probing.labels import SOUGHT
from interp_rc.tools.probing.streams import entity_vectors, read_streams
from tests.conftest import drawn, untaught

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def people():
    return fictitious_people(0, per_group=5, training_templates=2, held_out_templates=2)


@pytest.fixture(scope="module")
def measured(people, tokenizer, tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("bilinear"))
    config = {"seed": 3, "name": "bilinear", "measures": [{"kind": "bilinear"}]}
    write_yaml(run.config_file, config)
    write_facts(people, run.facts)
    model = untaught(tokenizer, "llama")
    save(model, run.base)
    return run, run_measure(BilinearProbe(shuffles=2, margin=0.5), MeasureContext(run, model))


def test_a_run(measured):
    run, found = measured
    table = run.table("mechanism/bilinear")
    assert set(table.model) == {"finetuned", "shuffled", "base", "untrained"}
    assert set(table.what) == set(WHATS)
    per_fact = table.groupby(["model", "what", "position", "fact", "draw"])
    assert (per_fact.chosen.sum() == 1).all()
    one, base = table[table.model == "finetuned"], table[table.model == "base"]
    np.testing.assert_allclose(one.z.to_numpy(), base.z.to_numpy())  # the same weights here
    chosen = one.query("chosen and what == 'mutual' and position == 'source_last'")
    chosen = chosen[chosen.group == "both"]
    name = "bilinear.finetuned.mutual.both.source_last"
    assert found.estimates[f"{name}.accuracy"].value == pytest.approx(chosen.right.mean())
    gain = (chosen.z - chosen.plain_z).mean()
    assert found.estimates[f"{name}.z_gain"].value == pytest.approx(gain)
    for row in chosen.itertuples():
        own = chosen.fact.tolist().index(row.fact)
        others = np.delete(row.scores, own)
        expected = (row.scores[own] - others.mean()) / others.std(ddof=1)
        assert row.z == pytest.approx(expected)


def test_what_is_judged(measured):
    run, found = measured
    below = [t for t in found.tests if t.name.endswith(".z")]
    assert {t.name.split(".")[1] for t in below} == {"forward", "backward"}
    assert {t.margin for t in below if t.p is not None} == {0.5}
    rows = run.table("mechanism/bilinear").query(
        "model == 'finetuned' and chosen and what == 'backward' and position == 'prompt_last'"
    )
    sd = rows[rows.group == "trained_forward"].z.std(ddof=1)
    had = found.estimates["bilinear.backward.prompt_last.power"]
    alone = power("non_superiority", 5, mean=0.0, sd=sd, margin=0.5, seed=1)
    assert had.value == pytest.approx(alone.value, abs=0.05)
    above = [t for t in found.tests if t.name.endswith(".above_shuffled")]
    assert len(above) == 5 * 2 * 3  # a return is not tested over facts
    assert not any("return" in t.name for t in above)


def test_each_side_is_what_its_name_says(people, tokenizer):
    loaded = untaught(tokenizer, "gpt2")
    ids = [fact.id for fact in people.facts]
    sides = read_sides(loaded, people)["prompt_last", 1]
    asked = [q for q in people.queries if q.order == "backward"]
    np.testing.assert_array_equal(sides.b, read_streams(loaded, asked, ids)[:, 1, 1])
    names = entity_vectors(loaded, [fact.subject for fact in people.facts])
    np.testing.assert_array_equal(sides.a_vectors, names)
    assert SOUGHT["forward"] == "object"
    labels = np.arange(len(ids))[::-1]
    mixed = sides.labelled(labels)
    np.testing.assert_array_equal(mixed.a, sides.a)
    np.testing.assert_array_equal(mixed.b, sides.b[::-1])
    np.testing.assert_array_equal(mixed.b_vectors, sides.b_vectors[::-1])


def test_the_section(measured):
    run, found = measured
    rows = run.table("mechanism/bilinear").query(
        "model == 'finetuned' and what == 'mutual' and group == 'both' and layer == 2"
        " and position == 'prompt_last'"
    )
    for column, label in (("right", "accuracy"), ("plain_right", "plain")):
        name = f"bilinear.finetuned.mutual.both.prompt_last.layer_2.{label}"
        assert found.estimates[name].value == pytest.approx(sum(rows[column]) / len(rows))
    assert not any(".return_" in n and n.endswith(".plain") for n in found.estimates)
    part = drawn(section(run, found))
    assert "transposed" in part.sentence
    assert "power if nothing" in part.note
    assert len(part.tables[0].rows) == len(WHATS) * len(TRAINED)
    assert (run.figures / "bilinear.dark.svg").is_file()


def test_facts_it_cannot_be_made_on_are_refused(told, people):
    BilinearProbe().check(people)
    with pytest.raises(DataError, match="4 facts or more of group trained_forward"):
        BilinearProbe().check(told)
    forward = [q for q in people.queries if q.order == "forward"]
    with pytest.raises(DataError, match="every fact asked in backward order"):
        BilinearProbe().check(dataclasses.replace(people, queries=forward))
