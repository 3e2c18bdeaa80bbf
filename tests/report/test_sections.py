"""What an earlier version did not measure is said in one line."""

from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.report.sections import section

ONE = Estimate(1.0, 0.5, 1.5, 8, "nat")


def test_a_run_of_an_earlier_version_says_what_is_missing_in_one_line(tmp_path):
    estimates, told = Estimates("patching"), {"order": "forward", "group": "trained_forward"}
    estimates.add(ONE, **told, quantity="total")
    estimates.add(ONE, **told, component="mlp_out", layer=0, place="prompt_last")
    estimates.add(ONE, quantity="noise_floor")
    found = section("patching_map", Run(tmp_path), Measured(estimates))
    assert found.title == "Patching map"
    assert "without patching.forward.elsewhere.total: to measure it again" in found.sentence
    assert "measured/patching_map.json" in found.sentence
    assert "\n" not in found.sentence
    [table] = found.tables
    assert [row[0] for row in table.rows] == [*estimates]
