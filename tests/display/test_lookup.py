"""Numbers by their names; what an earlier version did not measure is said in one line."""

import pytest

from interp_rc.display.lookup import MissingNumber, by_layers, look_up, look_up_place, numbered
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.report.sections import section

ONE = Estimate(1.0, 0.5, 1.5, 8, "nat")


def test_a_place_is_what_follows_in_the_name():
    measured = Measured({"map.chosen.end.mlp_out.3": ONE, "map.chosen.ending.other.4": ONE})
    assert look_up(measured, "map.chosen.ending.other.4") is ONE
    assert look_up_place(measured, "map.chosen.end") == ["mlp_out", "3"]
    with pytest.raises(MissingNumber, match=r"map\.total"):
        look_up(measured, "map.total")
    with pytest.raises(MissingNumber, match=r"map\.chosen\.start"):
        look_up_place(measured, "map.chosen.start")


def test_layers_and_numbers_are_in_turn():
    three = [Estimate(float(n), None, None, 8, "nat") for n in range(3)]
    names = ["map.layer_0.effect", "map.layer_1.effect", "map.layer_2.others"]
    measured = Measured(dict(zip(names, three, strict=True)))
    assert by_layers(measured, "map.layer_{}.effect") == three[:2]
    with pytest.raises(MissingNumber, match="layer_0"):
        by_layers(measured, "map.layer_{}.gone")
    found = numbered(
        Measured({"a.k16": three[2], "a.k2": three[1], "a.k2.z": ONE, "b.k1": ONE}), "a.k"
    )
    assert list(found.items()) == [(2, three[1]), (16, three[2])]


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
