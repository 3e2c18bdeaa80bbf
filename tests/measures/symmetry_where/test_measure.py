"""The measure as a run has it: an encoder made here, small."""

from dataclasses import replace
from pathlib import Path

import pytest

from interp_rc.facts.symmetry import symmetry
from interp_rc.measures.symmetry_where.asked import PATCHED, PLACES, evenly, swapped_pairs
from interp_rc.measures.symmetry_where.measure import TABLE, SymmetryWhere
from interp_rc.pipeline.config import validate
from interp_rc.pipeline.experiments import mechanism_config, tools
from interp_rc.pipeline.run import execute
from interp_rc.pipeline.yaml_source import Source
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.training.symmetry.options import Retraining

pytestmark = pytest.mark.slow

LAYERS = 1
SMALL = {
    "name": "where",
    "seed": 100,
    "facts": {"kind": "symmetry", "train": 64, "test": 40},
    "model": {"kind": "new_encoder", "layers": LAYERS, "width": 32, "heads": 2},
    "training": None,
    "measures": [
        {
            "kind": "symmetry_where",
            "train": 64,
            "per_relation": 2,
            "shuffles": 2,
            "draws": 19,
            "retraining": {"method": "head", "learning_rate": 3e-3, "epochs": 6},
        }
    ],
    "machine": {"device": "cpu", "threads": 1},
}


def valid(**changes):
    data = SMALL | changes
    return validate(data, Source(Path("mine.yaml"), data))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return execute(valid(), tmp_path_factory.mktemp("where") / "run", say=lambda _: None)


def test_every_place_and_layer_has_its_numbers(run):
    results = run.results()
    for encoder in ("pretrained", "retrained", "untrained"):
        for place in PLACES:
            for layer in range(LAYERS + 1):
                for what in ("held_out", "looked_up", "permuted"):
                    name = f"symmetry_where.probe.{encoder}.{place}.layer_{layer}.{what}"
                    assert results[name].unit == "fraction"
                    assert results[name].n == (2 if what == "permuted" else 14)
    assert results["symmetry_where.head.accuracy"].value > 0.8
    for place in PATCHED:
        name = f"symmetry_where.patching.{place.replace('.', '_')}.layer_0.recovered"
        assert results[name].value is not None
    everything = results["symmetry_where.patching.everything.layer_1.recovered"]
    assert everything.value == pytest.approx(1, abs=1e-4)


def test_the_place_chosen_beforehand_is_tested_in_each_encoder(run):
    tests = run.read_measured("symmetry_where").tests
    assert [test.name.split(".")[2] for test in tests] == ["pretrained", "retrained", "untrained"]
    for test in tests:
        assert test.correction == "holm"
        assert test.statistic == pytest.approx(run.results()[test.name].value)


def test_the_table_holds_one_observation_a_row(run):
    table = run.table(TABLE)
    assert set(table.part) == {"probe", "patching"}
    probes = table[table.part == "probe"]
    keys = ["encoder", "labels", "draw", "relation", "layer", "place"]
    assert not probes.duplicated(keys).any()
    assert len(probes) == 3 * (1 + 1 + 2) * 14 * (LAYERS + 1) * len(PLACES)
    effects = table[table.part == "patching"]
    assert not effects.duplicated(["pair", "layer", "place"]).any()


def test_a_second_run_gives_the_same_numbers(run, tmp_path):
    again = execute(valid(), tmp_path / "run", page=False, say=lambda _: None)
    assert again.results() == run.results()


def test_facts_that_tell_too_little_are_refused():
    few = symmetry(1, train=20, test=20)
    with pytest.raises(DataError, match="3 relations of each class"):
        SymmetryWhere().check(few)
    SymmetryWhere(per_relation=2).check(symmetry(1, train=20, test=40))
    enough = symmetry(1, train=20, test=40)
    entailed = [p for p in enough.pairs if p.split == "test" or p.label == "entailment"]
    with pytest.raises(DataError, match="which have 1 label"):
        SymmetryWhere(per_relation=2).check(replace(enough, pairs=entailed))


def test_pairs_are_of_the_two_label_form_and_even():
    pairs = symmetry(1, train=20, test=40).pairs
    chosen = swapped_pairs(pairs, "test")
    assert {(p.label_set, p.form, p.entities, p.held_out) for p in chosen} == {
        ("two_labels", "swapped", "names", False)
    }
    assert {
        p.entities for p in swapped_pairs([p for p in pairs if p.entities == "ids"], "test")
    } == {"ids"}
    assert {len(mine) for mine in evenly(chosen, 2).values()} == {2}
    bare = [replace(p, spans={}) for p in pairs]
    assert swapped_pairs(bare, "test") == []


def test_only_a_head_can_be_patched():
    with pytest.raises(ValueError, match="method=head"):
        SymmetryWhere(retraining=Retraining(method="nearest"))


def test_it_is_a_tool_for_encoders_and_for_them_alone():
    assert "symmetry_where" not in tools()
    assert "probe" in tools()
    with pytest.raises(ConfigError, match="no tool 'symmetry_where'"):
        mechanism_config("symmetry_where", "gpt2", None, Path("facts"))
    with pytest.raises(ConfigError, match="needs an encoder"):
        valid(model={"kind": "pretrained", "source": "gpt2"})
