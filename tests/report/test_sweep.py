"""The page of a sweep says its numbers, and escapes what it is given."""

import pandas as pd
import pytest

from interp_rc.pipeline.sweep.table import cells_table
from interp_rc.records.errors import RunError
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured
from interp_rc.records.sweeps import SEED, SweepRun
from interp_rc.report.again import write_again
from interp_rc.report.settings import told_apart
from interp_rc.report.sweep import content, runs_table, write_sweep_report
from interp_rc.stats.over_seeds import estimates_by_cell

RATES = [
    {"quantity": "exact_match", "group": "pooled", "direction": direction}
    for direction in ("same", "reverse")
]
CONFIG = {
    "measures": [{"kind": "behaviour"}],
    "model": {"kind": "embedded", "size": {"layers": 2, "width": 32}},
    "training": {"epochs": 2, "objective": {"kind": "next_token", "loss_on": "document"}},
}


@pytest.fixture
def sweep(tmp_path):
    """Writes a sweep's folder over the given axes, with one number that counts up."""

    def make(axes, numbers=RATES, lost=()):
        found = Estimates()
        for of in numbers:
            found.add(Estimate(0.5, None, None, 30, "fraction"), **of)
        sweep = SweepRun(tmp_path / "sweep")
        points = [{}]
        for axis, values in axes.items():
            points = [point | {axis: value} for point in points for value in values]
        ids = [f"trial{i}" for i in range(len(points))]
        write_yaml(
            sweep.sweep_file,
            {
                "name": "<b>bold</b>",
                "axes": axes,
                "show": None,
                "trials": dict(zip(ids, points, strict=True)),
            },
        )
        rows = [
            {"trial": id, **point, "name": name, "value": (i + 1) / 100, "low": i / 100}
            | {"high": (i + 2) / 100, "n": 30, "unit": "fraction"}
            for i, (id, point) in enumerate(zip(ids, points, strict=True))
            if i not in lost
            for name in found
        ]
        table, inner = pd.DataFrame(rows), [axis for axis in axes if axis != SEED]
        write_parquet(sweep.trials_file, table)
        write_parquet(sweep.cells_file, cells_table(estimates_by_cell(table, inner), inner))
        for id in ids:
            write_yaml(sweep.trial(id).config_file, CONFIG)
            sweep.trial(id).write_measured("behaviour", Measured(found))
        return sweep

    return make


def test_a_page_of_one_axis(sweep):
    made = sweep({"training.learning_rate": [0.1, 0.2], "seed": [0, 1]})
    found = content(made)
    said = found["sentence"].replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(
        "Over 2 settings, exact match, same order: between 1.5 % [0.0, 7.9] and 3.5 % [0.0, 9.9]; "
        "exact match, in reverse: between"
    )
    assert [row[0] for row in found["settings"].rows] == ["0.1", "0.2"]
    assert "t intervals" in found["intervals"]
    assert len(found["figures"]) == 1
    write_sweep_report(made)
    page = made.report_file.read_text()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert "http-equiv" in page


def test_more_axes_are_maps_with_a_panel_for_each_value_of_the_rest(sweep):
    made = sweep({"a.rate": [0.1, 0.2, 0.3], "a.order": ["x", "y"], "a.size": [8, 16, 32]})
    (figure,) = content(made)["figures"]
    assert figure.title == "By rate and size"
    assert figure.light != figure.dark
    svg = (made.figures / "settings_1.svg").read_text()
    for panel in ("exact match, same order, x [%]", "exact match, in reverse, y [%]"):
        assert panel in svg
    assert "over the facts of one model" in content(made)["intervals"]


def test_what_is_missing_is_said(sweep):
    made = sweep({"seed": [0, 1, 2]}, lost=[1])
    found = content(made)
    assert found["missing"].startswith("1 of 3 runs are not in these numbers")
    assert found["figures"] == []
    assert [row[2] for row in found["runs"].rows] == ["yes", "no", "yes"]


def test_other_names_are_shown_where_there_is_no_headline(sweep):
    made = sweep(
        {"rate": [1, 2]}, numbers=[{"quantity": "loss", "when": when} for when in ("end", "start")]
    )
    assert list(content(made)["settings"].columns) == [
        "rate",
        "loss, end",
        "loss, start",
    ]


def test_report_takes_a_sweep_and_refuses_an_empty_folder(sweep, tmp_path):
    made = sweep({"rate": [1, 2]})
    assert write_again(made.folder) == made.report_file
    with pytest.raises(RunError, match="holds no run"):
        write_again(tmp_path)
    with pytest.raises(RunError, match="holds no sweep"):
        SweepRun.open(tmp_path)


def test_a_sweep_of_an_earlier_version_says_how_to_have_its_page(sweep):
    made = sweep({"rate": [1, 2]})
    made.cells_file.unlink()
    with pytest.raises(RunError, match=r"cells.parquet is missing; continue .* --resume"):
        write_again(made.folder)


def test_settings_are_told_apart_and_numbered_where_a_figure_has_no_room(sweep):
    """Texts of mappings: what all share is left out; the numbers are those of the figure."""
    sizes = [f"kind embedded, size layers {n}, width {16 * n}, heads {n}" for n in (2, 4)]
    page = content(sweep({"model": sizes}))
    assert [row[0] for row in page["settings"].rows] == [
        "1: size layers 2, width 32, heads 2",
        "2: size layers 4, width 64, heads 4",
    ]
    assert "numbered" in page["figures"][0].caption
    assert page["setup"].startswith("First setting: ")


@pytest.mark.parametrize(
    "values",
    [["a, b", "a, b, c"], ["same", "same"], [1e-3, 1e-2], ["x", 3], ["one, two", "two, one"]],
)
def test_what_cannot_be_told_apart_in_fewer_words_keeps_them(values):
    cells = {(value,): {"x": number} for number, value in enumerate(dict.fromkeys(values))}
    assert told_apart(cells) == cells


def test_the_table_of_runs_says_mappings_in_words(sweep):
    page = content(sweep({"model.size": ["layers 2, width 32", "layers 4, width 64"]}))
    sizes = [{"layers": 2, "width": 32}, {"layers": 4, "width": 64}]
    spec = {"trials": {str(n): {"model.size": size} for n, size in enumerate(sizes)}}
    assert [row[1] for row in runs_table(spec, set()).rows] == [
        "size layers 2, width 32",
        "size layers 4, width 64",
    ]
    assert [row[1] for row in page["runs"].rows] == [
        "size layers 2, width 32",
        "size layers 4, width 64",
    ]


def test_a_damaged_results_file_says_so(sweep):
    made = sweep({"seed": [0, 1]})
    made.results_file.write_text("[1]")
    with pytest.raises(RunError, match="is damaged; delete it"):
        made.results()
