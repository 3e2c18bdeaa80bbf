"""The reader of a run."""

import pytest

from interp_rc.records.errors import RunError
from interp_rc.records.estimates import Estimates
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
    estimates = Estimates()
    rate = Estimate(0.5, 0.1, 0.9, 3, "fraction")
    estimates.add(rate, quantity="exact_match", group="both", order="forward")
    measured = Measured(
        estimates=estimates,
        tests=[Test("a", "t", 1.0, 0.5, None, None, 0.1, 3)],
        verdicts=[Verdict("a", "supported", "because", "control")],
        tables=["evaluation/answers"],
    )
    run = Run(tmp_path)
    assert run.read_measured("behaviour") is None
    run.write_measured("behaviour", measured)
    assert run.read_measured("behaviour") == measured


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
