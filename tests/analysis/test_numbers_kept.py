"""A comparison of two versions' numbers finds what changed, and nothing else."""

import json

import pandas as pd
import pytest

from analysis.numbers_kept import differences, main

TABLE = pd.DataFrame(
    {"fact": ["a", "b"], "value": [0.5, None], "scores": [[1.0, 2.0], [3.0]], "head": [1, None]}
)
RESULTS = {"x.y": {"value": 0.25, "low": None, "high": 1.0, "n": 3, "unit": "nat"}}


@pytest.fixture
def folders(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name / "run" / "mechanism").mkdir(parents=True)
        write(tmp_path / name, TABLE, RESULTS)
    return tmp_path / "old", tmp_path / "new"


def write(folder, table, results):
    table.to_parquet(folder / "run" / "mechanism" / "t.parquet")
    (folder / "run" / "results.json").write_text(json.dumps(results), encoding="utf-8")


def test_equal_folders_are_equal(folders, monkeypatch, capsys):
    assert [*differences(*folders, 0.0)] == []
    monkeypatch.setattr("sys.argv", ["numbers_kept", "compare", *map(str, folders)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == "0 differences in 2 files\n"


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (TABLE.assign(value=[0.5 + 1e-9, None]), "column value: 1 of 2 rows"),
        (TABLE.assign(value=[0.5, 0.5]), "column value: 1 of 2 rows"),
        (TABLE.assign(fact=["a", "c"]), "column fact: 1 of 2 rows"),
        (TABLE.assign(scores=[[1.0, 2.0], [3.0, 4.0]]), "column scores: 1 of 2 rows"),
        (TABLE.drop(columns="head"), "column head is gone"),
        (TABLE[:1], "2 rows became 1"),
    ],
)
def test_one_cell_that_differs_is_found(folders, table, found):
    write(folders[1], table, RESULTS)
    [line] = differences(*folders, 0.0)
    assert line.startswith(f"run/mechanism/t.parquet: {found}")


@pytest.mark.parametrize("key", ["value", "low", "n", "unit"])
def test_one_part_of_an_estimate_that_differs_is_found(folders, key):
    changed = {"x.y": RESULTS["x.y"] | {key: "logit" if key == "unit" else 7}}
    write(folders[1], TABLE, changed)
    [line] = differences(*folders, 0.0)
    assert line.startswith("run/results.json: x.y: ")


def test_numbers_may_differ_by_as_much_as_is_allowed_and_texts_never(folders):
    write(folders[1], TABLE.assign(value=[0.5 + 1e-9, None]), RESULTS)
    assert [*differences(*folders, 1e-8)] == []
    write(folders[1], TABLE.assign(fact=["a", "c"]), RESULTS)
    assert len([*differences(*folders, 10.0)]) == 1


def test_a_file_or_a_name_that_is_gone_is_found_and_what_is_new_is_not_compared(folders):
    write(folders[1], TABLE.assign(more=1), RESULTS | {"x.z": RESULTS["x.y"]})
    TABLE.to_parquet(folders[1] / "run" / "new.parquet")
    assert [*differences(*folders, 0.0)] == []
    assert [*differences(*reversed(folders), 0.0)] == [
        "run/results.json: x.z is gone",
        "run/mechanism/t.parquet: column more is gone",
        "run/new.parquet is gone",
    ]


def test_numbers_by_name_may_become_more(folders):
    by_name = pd.DataFrame({"trial": ["a", "b"], "name": ["x", "x"], "value": [1.0, 2.0]})
    for folder, name in zip(folders, ("x", "y"), strict=True):
        more = pd.DataFrame({"trial": ["a"], "name": [name], "value": [3.0]})
        pd.concat([by_name, more]).to_parquet(folder / "run" / "trials.parquet")
    [line] = differences(*folders, 0.0)
    assert line == "run/trials.parquet: 3 rows became 2"
    by_name.to_parquet(folders[0] / "run" / "trials.parquet")
    assert [*differences(*folders, 0.0)] == []


def test_trials_are_paired_in_the_order_of_their_plans(tmp_path):
    for name, first, second in (("old", "a1", "b2"), ("new", "c3", "d4")):
        sweep = tmp_path / name / "sweep"
        for trial, value in ((first, 1.0), (second, 2.0)):
            (sweep / "trials" / trial).mkdir(parents=True)
            pd.DataFrame({"value": [value]}).to_parquet(sweep / "trials" / trial / "t.parquet")
        (sweep / "sweep.yaml").write_text(f"trials: {{{first}: {{}}, {second}: {{}}}}\n")
    assert [*differences(tmp_path / "old", tmp_path / "new", 0.0)] == []
    pd.DataFrame({"value": [3.0]}).to_parquet(tmp_path / "new/sweep/trials/d4/t.parquet")
    [line] = differences(tmp_path / "old", tmp_path / "new", 0.0)
    assert line.startswith("sweep/trials/b2/t.parquet: column value: 1 of 1 rows")


def test_names_of_before_are_read_as_those_of_today(folders):
    named = {"exact_match.name_to_description.same": RESULTS["x.y"]}
    write(folders[0], TABLE.assign(subset="name_to_description"), named)
    now = {"exact_match.trained_forward.same": RESULTS["x.y"]}
    write(folders[1], TABLE.assign(group="trained_forward"), now)
    assert [*differences(*folders, 0.0)] == []
