"""The reader of a run."""

import pytest

from interp_rc.records.errors import RunError
from interp_rc.records.numbers import Estimate, Test, Verdict
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Measured, Run


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(RunError, match=r"holds no run"):
        Run.open(tmp_path)


def test_an_unfinished_run_has_no_results(tmp_path):
    with pytest.raises(RunError, match="not finished; continue it"):
        Run(tmp_path).results()


def test_measured_round_trip(tmp_path):
    measured = Measured(
        estimates={"exact_match.both.forward": Estimate(0.5, 0.1, 0.9, 3, "fraction")},
        tests=[Test("a", "t", 1.0, 0.5, None, None, 0.1, 3)],
        verdicts=[Verdict("a", "supported", "because", "control")],
        tables=["evaluation/answers"],
    )
    run = Run(tmp_path)
    assert run.read_measured("behaviour") is None
    run.write_measured("behaviour", measured)
    assert run.read_measured("behaviour") == measured


@pytest.mark.parametrize("name", ["Exact", "a..b", "a b", ".a", "a-b", ""])
def test_result_names_are_lower_case_words_joined_by_dots(tmp_path, name):
    with pytest.raises(RunError, match="not lower-case words"):
        Run(tmp_path).write_measured("x", Measured(estimates={name: Estimate(1, 1, 1, 1, "nat")}))


def test_a_log_line_cut_off_by_a_kill_is_left_out(tmp_path):
    run = Run(tmp_path)
    run.log_file.write_text('{"event": "a"}\n{"eve')
    assert list(run.log()) == [{"event": "a"}]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(RunError, match=r"answers\.parquet is missing"):
        Run(tmp_path).table("evaluation/answers")


def test_packaged_folders_are_found():
    assert (packaged("data") / "people" / "names.yaml").is_file()
    assert (packaged("experiments") / "descriptions.yaml").is_file()
