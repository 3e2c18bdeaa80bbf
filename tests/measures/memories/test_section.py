"""The page's sections on key–value memories: the numbers of the run, and what they mean."""

import pytest

from interp_rc.display.wording import spoken
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.memories import section as memories
from interp_rc.measures.memories.measure import Memories
from interp_rc.measures.transposition import section as transposition
from interp_rc.measures.transposition.measure import Transposition
from interp_rc.models.load import load
from interp_rc.records.runs import Measured

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def counted(learnt_run):
    return run_measure(Memories(), MeasureContext(learnt_run, load(learnt_run.model)))


def test_neurons_are_counted_beside_their_controls(learnt_run, counted):
    section = memories.section(learnt_run, counted)
    start = "memories.forward.trained_forward.transplant"
    for name in (f"{start}.top.k16", f"{start}.random.k16"):
        assert spoken(counted.estimates[name]) in section.sentence
    other = counted.estimates["memories.forward.trained_backward.transplant.top.k16"]
    assert f"told the other way, {spoken(other)}" in section.sentence
    assert "Asked description first" in section.sentence
    [figure] = section.figures
    assert figure.light.startswith("data:image/svg")
    assert figure.light != figure.dark
    exchanged, written, neurons = section.tables
    assert len(exchanged.rows) == len(written.rows) == 6
    assert len(neurons.rows) == 6 * 2 * 2
    assert all(len(row) == len(neurons.columns) for row in neurons.rows)


def test_random_neurons_are_not_drawn_where_all_are_taken(counted):
    curves = memories.lines(counted, "forward", "transplant")
    drawn, top = (next(c for c in curves if c.control is kind) for kind in (True, False))
    assert max(top.xs) > max(drawn.xs)
    assert top.label == "told this way"


def test_facts_told_in_one_order_alone_have_a_section(learnt_run, counted):
    only = counted.estimates.where(order="backward")
    section = memories.section(learnt_run, Measured(only))
    assert section.sentence.startswith("Asked description first")
    found = run_measure(
        Transposition(), MeasureContext(learnt_run, load(learnt_run.model))
    ).estimates
    only = found.where(order="backward")
    assert "description is read" in transposition.section(learnt_run, Measured(only)).sentence


def test_nothing_learnt_is_said(learnt_run):
    section = memories.section(learnt_run, Measured())
    assert "Fewer than two facts" in section.sentence
    assert not section.figures


def test_transposed_memories(learnt_run):
    found = run_measure(Transposition(), MeasureContext(learnt_run, load(learnt_run.model)))
    section = transposition.section(learnt_run, found)
    z = found.estimates["transposition.finetuned.forward.trained_forward.value_as_key.z"]
    assert spoken(z) in section.sentence
    numbers, tests = section.tables
    assert len(numbers.rows) == 6
    assert len(tests.rows) == len(found.tests) == 12
    assert any("values as keys of the other" in row[0] for row in tests.rows)
