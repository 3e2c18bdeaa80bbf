"""A measure's view of a run: what is read once, what is named, and what was written."""

import pandas as pd
import pytest

from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.models.load import load
from interp_rc.records.errors import RunError
from interp_rc.records.nouns import Roles
from interp_rc.records.runs import Measured, Run


@pytest.fixture
def context(smoke_run):
    return MeasureContext(smoke_run, load(smoke_run.model))


def test_a_run_is_seen_as_its_files_say(context, smoke_run):
    assert context.seed == smoke_run.config()["seed"]
    assert context.facts == read_facts(smoke_run.facts)
    assert context.known_facts == read_facts(smoke_run.base_facts)
    pd.testing.assert_frame_equal(context.answers, smoke_run.table("evaluation/answers"))


def test_facts_and_base_are_read_once(context):
    assert context.facts is context.facts
    assert context.base is context.base
    assert context.known_facts is context.known_facts


def test_models_are_called_what_tables_call_them(context, smoke_run, tmp_path):
    assert [*context.models] == ["base", "finetuned"]
    assert context.models["finetuned"] is context.model
    before, after = (model.model.state_dict() for model in context.models.values())
    assert any((before[name] != after[name]).any() for name in before)
    (tmp_path / "config.yaml").write_text("seed: 3\n", encoding="utf-8")
    alone = MeasureContext(Run(tmp_path), context.model)
    assert alone.models == {"base": context.model}
    assert (alone.base, alone.known_facts) == (None, None)


def test_tables_that_are_not_there_are_said_to_be_missing(context):
    with pytest.raises(RunError, match=r"nothing\.parquet is missing; run the measure"):
        context.table("mechanism/nothing")


class Writes:
    def __init__(self, *names):
        self.names = names

    def run(self, context):
        for name in self.names:
            context.write(name, pd.DataFrame({"value": [1.5]}))
        return Measured()


def test_what_is_made_lists_its_own_tables_and_what_its_facts_are_called(tmp_path):
    roles = Roles("capital", "country")
    write_facts(FactSet([], [], [], [], [], roles=roles), tmp_path / "facts")
    context = MeasureContext(Run(tmp_path), None)
    assert run_measure(Writes("a/one", "a/two"), context).tables == ["a/one", "a/two"]
    assert run_measure(Writes("b"), context).tables == ["b"]
    assert run_measure(Writes(), context).roles == roles
    assert context.table("a/two").value.tolist() == [1.5]
