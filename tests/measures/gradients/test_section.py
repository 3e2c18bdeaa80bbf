"""The section on gradients, from tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.measures.gradients.measure import add_cosines, add_pooled_cosines, orthogonal
from interp_rc.measures.gradients.one_step import add_steps
from interp_rc.measures.gradients.section import cosines_of, section
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import TRAINED
from interp_rc.records.runs import Measured
from interp_rc.stats.correction import holm
from tests.conftest import drawn

PARTS = [("input_embedding", None), ("output_rows", None), ("norms", None), ("all", None)]
PARTS += [(part, layer) for layer in (0, 1, 10) for part in ("mlp", "attention")]


def by_hand(groups):
    draw = np.random.default_rng(0)
    rows = [
        (model, group, f"{group}.{i}", pairing, part, layer, 0.6 * (pairing == "paraphrase"))
        for model in ("base", "finetuned")
        for group in groups
        for i in range(4)
        for pairing in ("reverse", "paraphrase")
        for part, layer in PARTS
    ]
    columns = ["model", "group", "fact", "pairing", "component", "layer", "difference"]
    table = pd.DataFrame(rows, columns=columns).astype({"layer": "Int64"})
    table["difference"] += 0.001 * draw.normal(size=len(table))
    steps = [
        (group, f"{group}.{i}", step, quantity, of, layer, value + i / 8)
        for group in groups
        for i in range(4)
        for step, of, quantity, layer, value in (
            ("told", "same", "bound", None, 5),
            ("told", "reverse", "bound", None, -2),
            ("other_order", "reverse", "bound", None, 7),
            *(
                ("told", of, "movement", layer, 0.5)
                for of in ("name", "description")
                for layer in (None, 0, 1, 10)
            ),
        )
    ]
    columns = ["group", "fact", "step", "quantity", "of", "layer", "difference"]
    return table, pd.DataFrame(steps, columns=columns).astype({"layer": "Int64"})


@pytest.fixture
def shown(make):
    def build(groups=TRAINED, margin=None):
        run = make(measures=["gradients"])
        table, steps = by_hand(groups)
        estimates = Estimates()
        add_cosines(estimates, table, 0)
        add_pooled_cosines(estimates, table, 0)
        add_steps(estimates, steps, 0)
        return run, table, Measured(estimates, tests=holm(orthogonal(table, margin)))

    return build


@pytest.mark.slow
def test_the_section_tells_both_cosines_and_both_controls(shown):
    run, _, measured = shown()
    found = drawn(section(run, measured))
    once, control = found.sentence.split("; the control")
    assert "0.600" not in once
    assert "by 0.600" in control
    assert "Exploratory" in found.note
    assert "within ±0.030: p = " in found.note
    assert max(test.p_adjusted for test in measured.tests) < 0.001
    steps, moved = found.tables
    assert len(steps.rows) == 3
    assert [value.split()[0] for value in steps.rows[0][1:]] == ["5.2", "−1.8", "7.2"]
    assert len(moved.rows) == 6
    assert moved.columns[2:] == ("embedding", "layer 0", "layer 10")
    assert all(len(row) == len(moved.columns) for row in moved.rows)
    assert (run.figures / "gradients.png").stat().st_size > 10_000


def test_rows_run_from_input_to_output(shown):
    _, table, measured = shown()
    found = cosines_of(measured)
    assert list(dict.fromkeys(one.row for one in found)) == [
        "all parameters",
        "input embedding",
        *(f"{part} {layer}" for layer in (0, 1, 10) for part in ("attention", "MLP")),
        "output rows",
        "norms",
    ]
    assert {one.asked for one in found} == {"same", "reverse", "both"}
    pooled = next(one for one in found if one.asked == "reverse")
    once = table[table.group != "both"]
    assert pooled.estimate.n == once.fact.nunique() == 8
    rows = [
        row.difference
        for row in once.itertuples()
        if (row.model, row.pairing, row.component, row.layer) == ("base", "reverse", "mlp", 10)
    ]
    part = measured.estimates["gradient_cosine.base.told_once.reverse.mlp.layer_10"]
    assert part.value == pytest.approx(sum(rows) / len(rows))


def test_without_facts_told_in_both_there_is_no_such_point(shown):
    run, _, measured = shown(TRAINED[:1])
    found = drawn(section(run, measured))
    assert len(found.tables[0].rows) == 1
    assert {one.asked for one in cosines_of(measured)} == {"same", "reverse"}
