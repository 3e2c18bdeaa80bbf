"""A plan: valid whole, or refused at the place of its fault."""

import pytest

from interp_rc.pipeline.config import RunConfig, load_config
from interp_rc.pipeline.sweep.plan import Plan, config_hash, load_plan
from interp_rc.records.errors import ConfigError


def test_each_trial_has_the_values_of_its_point(tiny):
    plan = load_plan(tiny())
    assert [trial.point for trial in plan.trials] == [
        {"training.learning_rate": rate, "seed": seed} for rate in (1e-3, 1e-2) for seed in (0, 1)
    ]
    for trial in plan.trials:
        assert trial.config.training.learning_rate == trial.point["training.learning_rate"]
        assert trial.config.seed == trial.point["seed"]
        assert trial.config.facts.per_group == 2
        assert trial.id == config_hash(trial.config)
    assert len({trial.id for trial in plan.trials}) == 4


def test_a_trial_is_the_run_that_its_values_give_by_hand(tiny):
    file = tiny()
    alone = load_config(file, ["sweep=null", "training.learning_rate=0.01", "seed=1"])
    assert alone == load_plan(file).trials[3].config


def test_the_smoke_form_has_its_own_sweep(tiny):
    plan = load_plan(tiny(), smoke=True)
    assert [trial.point for trial in plan.trials] == [
        {"training.epochs": 1},
        {"training.epochs": 2},
    ]


def test_set_changes_axes_fixes_them_and_ends_the_sweep(tiny):
    file = tiny()
    more = load_plan(file, ["sweep.grid.seed=[5, 6, 7]", "sweep.workers=1"])
    assert [trial.point["seed"] for trial in more.trials] == [5, 6, 7] * 2
    assert more.sweep.workers == 1
    fixed = load_plan(file, ["seed=9"])
    assert [trial.point for trial in fixed.trials] == [
        {"training.learning_rate": 1e-3},
        {"training.learning_rate": 1e-2},
    ]
    assert {trial.config.seed for trial in fixed.trials} == {9}
    added = load_plan(file, ["sweep.grid.training.batch_size=[4, 8]"])
    assert len(added.trials) == 8
    one = load_plan(file, ["seed=9", "training.learning_rate=0.1"])
    assert isinstance(one, RunConfig)
    assert isinstance(load_plan(file, ["training={epochs: 2}", "seed=1"]), RunConfig)
    assert isinstance(load_plan(file, ["sweep=null"]), RunConfig)


def test_the_same_configuration_twice_is_one_trial(tiny):
    plan = load_plan(tiny(("seed: [0, 1]", "seed: [0, 1, 0]")))
    assert len(plan.trials) == 4


@pytest.mark.parametrize(
    ("old", "new", "line", "fragment"),
    [
        ("[1.0e-3, 1.0e-2]", "[1.0e-3, -1]", 12, "`training.learning_rate`: Input should be gre"),
        ("training.learning_rate: [1.0e-3, 1.0e-2]", "training.rate: [1]", 12, "unknown key"),
        ("seed: [0, 1]", "seed: 0", 13, "`sweep.grid.seed`: Input should be a valid list"),
        ("grid:\n", "gird:\n", 11, "unknown key `sweep.gird`; did you mean `grid`?"),
        ("seed: [0, 1]", "seed: []", 13, "at least 1 item"),
        ("seed: [0, 1]", "measures.7.kind: [behaviour]", 13, "no place in a list of 1"),
    ],
)
def test_a_fault_is_told_at_its_line(tiny, old, new, line, fragment):
    file = tiny((old, new))
    with pytest.raises(ConfigError) as caught:
        load_plan(file)
    assert f"{file}:{line}: " in str(caught.value)
    assert fragment in str(caught.value)


def test_one_run_is_not_made_of_a_sweep_by_accident(tiny):
    file = tiny()
    with pytest.raises(ConfigError, match=rf"{file}:10: this experiment is a sweep of runs"):
        load_config(file)


def test_a_plan_has_a_name(tiny):
    plan = load_plan(tiny())
    assert isinstance(plan, Plan)
    assert plan.name == "tiny"


@pytest.mark.parametrize("written", ["1e-5", "1.0e-5", "1E-05", "+1e-5", ".00001"])
def test_an_axis_of_numbers_in_any_notation_is_of_numbers(tiny, written):
    plan = load_plan(tiny(), [f"sweep.grid.training.learning_rate=[{written}, 2e-5]"])
    assert plan.sweep.grid["training.learning_rate"] == [1e-5, 2e-5]


@pytest.mark.parametrize("name", ["1e5x", "e5", "seed1e5", "'1e5'"])
def test_what_only_looks_like_a_number_stays_text(tiny, name):
    assert load_plan(tiny(), [f"name={name}"]).name == name.strip("'")
