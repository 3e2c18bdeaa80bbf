"""The section on symmetric relations: its sentence says what the numbers do, and no more."""

import pytest

from interp_rc.display.wording import TIE
from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry.section import meaning, rates, sample_curves, section, sentence
from interp_rc.measures.symmetry.words import METHODS
from interp_rc.records.files import write_yaml
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured, Run
from interp_rc.report.headline import answer

CELL = "symmetry.main.two_labels.names"
LEFT = "symmetry.left_out.two_labels.names"


def rate(value, n=3):
    return Estimate(value, max(0.0, value - 0.1), min(1.0, value + 0.1), n, "fraction")


def estimates(trained=0.98, left=0.52, kept=0.97):
    found = {}
    for number, method in enumerate(METHODS):
        less = number / 100
        found |= {
            f"{CELL}.{method}.same.before": rate(0.5),
            f"{CELL}.{method}.same.after": rate(trained - less),
            f"{CELL}.{method}.wrong_entity.after": rate(kept - less),
            f"{LEFT}.{method}.after": rate(left - less, 14),
            f"symmetry.samples.{method}.needed_95": Estimate(48, 32, 64, 10, "pairs"),
            f"symmetry.samples.{method}.reached_95": rate(1.0, 10),
            f"symmetry.samples.{method}.needed_99": Estimate(64, 48, None, 10, "pairs"),
            f"symmetry.samples.{method}.reached_99": rate(0.9, 10),
            f"symmetry.samples.{method}.needed_100": Estimate(None, 64, None, 10, "pairs"),
            f"symmetry.samples.{method}.reached_100": rate(0.3, 10),
            f"symmetry.samples.{method}.size_16": rate(0.6, 10),
            f"symmetry.samples.{method}.size_64": rate(0.97, 10),
        }
    found |= {
        f"symmetry.left_out.two_labels.{entities}.{method}.{relation}.after": Estimate(
            0.25, None, None, 40, "fraction"
        )
        for entities in ("names", "ids")
        for method in METHODS
        for relation in relations()
    }
    found[f"{CELL}.lookup.same.after"] = Estimate(1.0, 0.97, 1.0, 150, "fraction")
    return found


def above_chance(p):
    return [
        Test(f"{LEFT}.{method}.above_chance", "permutation", 0.1, p, p, "holm", None, 14)
        for method in METHODS
    ]


def measured(**changed):
    p = changed.pop("p", 0.5)
    return Measured(estimates(**changed), above_chance(p))


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "run")
    write_yaml(made.config_file, {"name": "x", "seed": 0})
    return made


def test_a_single_draw_is_not_called_a_mean(run):
    assert "mean over 10 draws with 95 % t intervals." in sample_curves(run, measured()).caption
    once = measured()
    for name, one in once.estimates.items():
        if ".size_" in name:
            once.estimates[name] = Estimate(one.value, None, None, 1, one.unit)
    caption = sample_curves(run, once).caption
    assert "names; a single draw. A draw" in caption
    assert "interval" not in caption


def test_the_sentence_covers_relations_left_out_and_wrong_entities():
    said = sentence(measured()).replace(TIE, " ")
    assert "right about 95 to 98 % of new pairs" in said
    assert "look-up of the relation’s words about 100 %" in said
    assert "right about 49 to 52 % where the relation was left out" in said
    assert "in 94 to 97 % of cases it answers by the relation’s class" in said
    assert said.count(".") == 1
    assert said.endswith(".")


def test_without_controls_the_sentence_claims_none_of_them():
    only = {name: e for name, e in estimates().items() if "left_out" not in name}
    said = sentence(Measured(only, [], [], []))
    assert "left out" not in said
    assert "another entity" in said
    assert "cannot tell" in meaning(Measured(only, [], [], []))
    assert "No method was trained" in sentence(Measured({}, [], [], []))


@pytest.mark.parametrize(
    ("p", "words"), [(0.5, "No method is shown"), (0.001, "every method does better than chance.")]
)
def test_what_follows_rests_on_the_tests(p, words):
    assert words in meaning(measured(p=p))


def test_some_methods_above_chance():
    found = measured()
    mixed = [*above_chance(0.001)[:1], *above_chance(0.5)[1:]]
    assert "1 of 4 methods" in meaning(Measured(found.estimates, mixed, [], []))


def test_the_section_shows_every_number_once(run):
    found = section(run, measured())
    by_caption = {
        table.caption.split(":")[0].split("[")[0].strip(): table for table in found.tables
    }
    two = by_caption["Two labels, the published form, and every control"]
    assert two.rows[1][:2] == ["(a) label embeddings, retrained", f"98.0{TIE}[88.0,{TIE}100.0]"]
    needed = by_caption["Training pairs needed"]
    assert needed.rows[0] == [
        "(a) label embeddings", "48 (10 of 10)", "64 (9 of 10)", "more than 64 (3 of 10)", "48"
    ]  # fmt: skip
    left = by_caption["Relations left out, one by one"]
    assert len(left.rows) == 14
    assert set(left.rows[0][2:]) == {"25", ""}  # of the regression there is nothing here
    assert len(found.figures) == 2


def test_a_run_that_did_not_count_relations_singly_has_no_table_of_them(run):
    found = measured()
    found.estimates = {n: e for n, e in found.estimates.items() if e.n != 40}
    captions = [table.caption for table in section(run, found).tables]
    assert captions
    assert not any(caption.startswith("Relations left out") for caption in captions)


def test_the_look_up_stands_beside_every_method():
    rows = [rate for rate in rates(measured()) if rate.group == "known relations"]
    assert [rate.label for rate in rows] == [*METHODS.values(), "look-up"]  # no regression here
    assert rows[-1].estimate.value == 1.0


def test_the_page_of_such_a_run_begins_with_the_sentence(run):
    found = measured()
    assert answer(run, {"symmetry": found}).sentence == sentence(found)


@pytest.mark.parametrize(
    ("alone", "words"), [(0.9, "none gets more than a regression"), (0.3, "alone gets 30")]
)
def test_relations_left_out_are_compared_with_their_words_alone(alone, words):
    found = measured(p=0.001)
    found.estimates[f"{LEFT}.relation_only.after"] = rate(alone, 14)
    assert words in meaning(found)
    assert f"from the relation’s words alone: {100 * alone:.0f}" in sentence(found)
