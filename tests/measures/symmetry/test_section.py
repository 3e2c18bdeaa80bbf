"""The section on symmetric relations: its sentence says what the numbers do, and no more."""

import pytest

from interp_rc.display.wording import TIE
from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry.section import meaning, rates, sample_curves, section, sentence
from interp_rc.measures.symmetry.words import LEFT_OUT, METHODS, NAMES
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_yaml
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured, Run
from interp_rc.report.headline import answer

LEFT = "symmetry.left_out.two_labels.names"


def rate(value, n=3):
    return Estimate(value, max(0.0, value - 0.1), min(1.0, value + 0.1), n, "fraction")


def estimates(trained=0.98, left=0.52, kept=0.97):
    found = Estimates("symmetry")
    for number, method in enumerate(METHODS):
        less = number / 100
        mine, after = NAMES | {"method": method}, {"when": "after"}
        found.add(rate(0.5), **mine, role="same", when="before")
        found.add(rate(trained - less), **mine, role="same", **after)
        found.add(rate(kept - less), **mine, role="wrong_entity", **after)
        found.add(rate(left - less, 14), **LEFT_OUT, method=method, **after)
        for quantity, one in {
            "needed_95": Estimate(48, 32, 64, 10, "pairs"),
            "reached_95": rate(1.0, 10),
            "needed_99": Estimate(64, 48, None, 10, "pairs"),
            "reached_99": rate(0.9, 10),
            "needed_100": Estimate(None, 64, None, 10, "pairs"),
            "reached_100": rate(0.3, 10),
        }.items():
            found.add(one, part="samples", method=method, quantity=quantity)
        for size, value in ((16, 0.6), (64, 0.97)):
            found.add(rate(value, 10), part="samples", method=method, size=size)
        for entities in ("names", "ids"):
            for relation in relations():
                of = LEFT_OUT | {"entities": entities, "method": method, "relation": relation}
                found.add(Estimate(0.25, None, None, 40, "fraction"), **of, **after)
    lookup = Estimate(1.0, 0.97, 1.0, 150, "fraction")
    found.add(lookup, **NAMES, method="lookup", role="same", when="after")
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
    rows = [
        row._replace(estimate=Estimate(row.estimate.value, None, None, 1, row.estimate.unit))
        for row in estimates().rows
    ]
    caption = sample_curves(run, Measured(Estimates("symmetry", rows))).caption
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
    kept = (row for row in estimates().rows if row.of["part"] != "left_out")
    only = Estimates("symmetry", kept)
    said = sentence(Measured(only, [], [], []))
    assert "left out" not in said
    assert "another entity" in said
    assert "cannot tell" in meaning(Measured(only, [], [], []))
    assert "No method was trained" in sentence(Measured())


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
    found.estimates = Estimates(
        "symmetry", (row for row in found.estimates.rows if "relation" not in row.of)
    )
    captions = [table.caption for table in section(run, found).tables]
    assert captions
    assert not any(caption.startswith("Relations left out") for caption in captions)


def test_the_look_up_stands_beside_every_method():
    rows = [rate for rate in rates(measured()) if rate.group == "known relations"]
    assert [rate.label for rate in rows] == [*METHODS.values(), "look-up"]  # no regression here
    assert rows[-1].estimate.value == 1.0


def test_the_page_of_such_a_run_begins_with_the_sentence(run):
    found = measured()
    shown = section(run, found)
    assert answer(run, {"symmetry": found}, [shown]).sentence == sentence(found)


@pytest.mark.parametrize(
    ("alone", "words"), [(0.9, "none gets more than a regression"), (0.3, "alone gets 30")]
)
def test_relations_left_out_are_compared_with_their_words_alone(alone, words):
    found = measured(p=0.001)
    found.estimates.add(rate(alone, 14), **LEFT_OUT, method="relation_only", when="after")
    assert words in meaning(found)
    assert f"from the relation’s words alone: {100 * alone:.0f}" in sentence(found)
