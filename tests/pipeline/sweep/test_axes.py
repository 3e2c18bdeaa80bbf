"""Points: every combination, in a stated order; random ones that are the same again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from interp_rc.pipeline.sweep.axes import RandomAxes, Range, Sweep
from interp_rc.records.sweeps import text_of


def test_a_grid_visits_every_combination_once_the_first_axis_slowest():
    sweep = Sweep(grid={"a.b": [1, 2], "seed": [0, 1, 2]})
    plain = []
    for a in (1, 2):
        for seed in (0, 1, 2):
            plain.append({"a.b": a, "seed": seed})
    assert list(sweep.points()) == plain


def test_random_points_are_drawn_at_every_point_of_the_grid():
    drawn = RandomAxes(trials=3, axes={"x": Range(low=0.0, high=1.0), "y": ["u", "v"]})
    points = list(Sweep(grid={"seed": [0, 1]}, random=drawn).points())
    assert len(points) == 6
    strip = [[p["x"], p["y"]] for p in points]
    assert strip[:3] == strip[3:]
    assert [p["seed"] for p in points] == [0, 0, 0, 1, 1, 1]


@given(st.integers(1, 20), st.integers(0, 9))
def test_more_random_points_begin_with_the_same_ones(count, seed):
    axes = {"x": Range(low=1e-5, high=1e-1, log=True), "n": Range(low=1, high=64)}
    few = RandomAxes(trials=count, seed=seed, axes=axes).points()
    many = RandomAxes(trials=count + 5, seed=seed, axes=axes).points()
    assert many[:count] == few
    for point in many:
        assert 1e-5 <= point["x"] <= 1e-1
        assert isinstance(point["n"], int)
        assert 1 <= point["n"] <= 64


def test_a_logarithmic_range_is_even_in_the_logarithm():
    axes = {"x": Range(low=1e-4, high=1.0, log=True)}
    logs = [math.log10(p["x"]) for p in RandomAxes(trials=2000, axes=axes).points()]
    assert sum(x < -2 for x in logs) / 2000 == pytest.approx(0.5, abs=0.04)  # 3.6 sd


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "names no axis"),
        ({"grid": {}}, "names no axis"),
        ({"grid": {"a": []}}, "at least 1 item"),
        ({"grid": {"a": 3}}, "valid list"),
        ({"grid": {"a": [1]}, "random": {"trials": 1, "axes": {"a": [2]}}}, "names a twice"),
        ({"random": {"trials": 2, "axes": {"a": {"low": 2, "high": 1}}}}, "must be less"),
        ({"random": {"trials": 2, "axes": {"a": {"low": 0, "high": 1, "log": True}}}}, "logarithm"),
        ({"grid": {"a": [1]}, "engine": "ray"}, "Extra inputs"),
    ],
)
def test_what_is_no_sweep_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Sweep.model_validate(options)


def test_values_as_people_read_them():
    assert text_of({"layers": 2, "width": 64}) == "layers 2, width 64"
    assert [text_of(v) for v in (1e-3, 8, None, "step1000", True)] == [
        "0.001",
        "8",
        "none",
        "step1000",
        "True",
    ]


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"grid": {f"a{n}": [1, 2] for n in range(40)}}, "1,099,511,627,776 runs, and 5,000 are"),
        ({"grid": {"seed": list(range(5_001))}}, "5,001 runs"),
        ({"random": {"trials": 10**9, "axes": {"seed": [1]}}}, "less than or equal to 5000"),
        ({"grid": {"a": [1] * 100}, "random": {"trials": 100, "axes": {"b": [1]}}}, "10,000 runs"),
        ({"grid": {"a": [1] * 100}, "random": {"trials": 100, "axes": {}}}, "10,000 runs"),
        ({"grid": {"seed": [1]}, "workers": 10**9}, "less than or equal to 1024"),
        ({"random": {"trials": 1, "seed": 2**63, "axes": {"seed": [1]}}}, "less than or equal to"),
        ({"random": {"trials": 1, "axes": {"x": {"low": 0, "high": math.inf}}}}, "finite"),
    ],
)
def test_what_nobody_can_run_is_refused_before_it_is_drawn(sweep, words):
    with pytest.raises(ValidationError, match=words):
        Sweep.model_validate(sweep)
