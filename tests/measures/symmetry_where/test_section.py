"""The section on where a relation's class sits says no more than its intervals do."""

import pytest

from interp_rc.measures.symmetry_where.asked import PATCHED, PLACES
from interp_rc.measures.symmetry_where.section import layers_of, section
from interp_rc.measures.symmetry_where.words import about_patching, about_probes
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured, Run
from tests.conftest import drawn

LAYERS = 3


def rate(value, half=0.1):
    return Estimate(value, max(0, value - half), min(1, value + half), 14, "fraction")


def by_hand(held_out=0.9, total=10.0, patched=True, **shares):
    """A class that is told at the relation's words in all but the untrained encoder."""
    found = Estimates("symmetry_where")
    found.add(rate(0.99, 0.01), part="head", quantity="accuracy")
    for encoder in ("pretrained", "retrained", "untrained"):
        for place in PLACES:
            for layer in range(LAYERS + 1):
                of = {"part": "probe", "model": encoder, "place": place, "layer": layer}
                told = held_out if place == "relation" and encoder != "untrained" else 0.5
                found.add(rate(told), **of, quantity="held_out")
                found.add(rate(1.0, 0), **of, quantity="looked_up")
                found.add(rate(0.48, 0.03), **of, quantity="permuted")
    tests = [
        Test(f"symmetry_where.probe.{e}.relation.layer_{LAYERS}.held_out", "permutation", 0.5, p, q,
             "holm", None, 14)
        for e, p, q in (("pretrained", 0.01, 0.02), ("retrained", 0.005, 0.015),
                        ("untrained", 0.6, 0.6))
    ]  # fmt: skip
    if not patched:
        return Measured(estimates=found, tests=tests)
    whole = Estimate(total, total - 1, total + 1, 6, "logit")
    found.add(whole, part="patching", quantity="total")
    for place in PATCHED:
        for layer in range(LAYERS + 1):
            value = shares.get(place, 1.0 if place in ("relation", "everything") else 0.0)
            of = {"part": "patching", "place": place, "layer": layer, "quantity": "recovered"}
            ends = (None, None, None) if total < 1 else (value, value - 0.05, value + 0.05)
            found.add(Estimate(*ends, 6, "ratio"), **of)
    return Measured(estimates=found, tests=tests)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("where"))


@pytest.fixture(scope="module")
def page(run):
    return drawn(section(run, by_hand()))


def flat(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def said(**how):
    measured = by_hand(**how)
    return flat(f"{about_probes(measured, LAYERS)} {about_patching(measured, LAYERS)}")


def test_what_is_found_is_said_with_its_controls(run, page):
    text = flat(page.sentence)
    assert text == said()
    assert "in 90.0 % [80.0, 100.0] as the encoder came (p = 0.020)" in text
    assert "50.0 % [40.0, 60.0] with untrained weights (p = 0.600)" in text
    assert "it is right in 100.0 %" in text
    assert "carry 100.0 % [95.0, 105.0] in the embeddings" in text
    assert "carry a part" not in text
    assert [p.title for p in page.figures] == [
        "Is the class readable?",
        "Which states carry it to the head?",
    ]
    for name in ("probes", "patching"):
        for kind in ("svg", "dark.svg"):
            assert (run.figures / f"symmetry_where_{name}.{kind}").stat().st_size > 5_000
    assert layers_of(by_hand()) == LAYERS


def test_other_carriers_are_named_where_their_interval_excludes_zero():
    text = said(special=0.2, subject=0.04)
    assert "By then, the tokenizer’s own tokens (20.0 % [15.0, 25.0]) carry a part" in text
    assert "first entities" not in text


def test_nothing_is_divided_by_no_difference():
    assert "too little, or too uncertain" in said(total=0.5)


def test_facts_without_couples_are_said_to_have_none(tmp_path):
    made = section(Run(tmp_path), by_hand(patched=False))
    assert "nothing could be exchanged" in made.sentence
    assert len(made.figures) == len(made.tables) == 1


def test_tables_have_every_place_and_no_unit_in_their_cells(page):
    probes, patching = page.tables
    assert len(probes.rows) == 3 * len(PLACES)
    assert len(patching.rows) == len(PATCHED)
    cells = [cell for table in (probes, patching) for row in table.rows for cell in row[2:]]
    assert all(cell and "%" not in cell for cell in cells)
    assert "over 14 relations" in probes.caption
    assert "over 6 couples" in patching.caption
    assert flat(probes.rows[0][2]) == "90.0 [80.0, 100.0]"


def test_no_label_is_named_that_published_facts_do_not_have(page):
    """Their antisymmetric pairs are neutral."""
    texts = [page.sentence, page.note, *(f.caption + f.alt for f in page.figures)]
    assert not any("contradict" in text or "neutral" in text for text in texts)
