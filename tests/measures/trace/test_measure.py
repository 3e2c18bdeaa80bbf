"""Numbers of the trace from a table made by hand, and from a plain loop over its rows."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.facts.factset import FactSet
from interp_rc.measures.trace.measure import Trace, advantage, cells, estimates, over_shuffled
from interp_rc.records.errors import DataError

STEPS = (0, 7, 14)


@pytest.fixture(scope="module")
def table():
    """Ten facts told in one order and learnt in it only; ten told in both; two templates."""
    draw, rows = np.random.default_rng(0), []
    for group, directions in (("one", ("same", "reverse")), ("two", (None, None))):
        for order, direction in zip(("forward", "backward"), directions, strict=True):
            for number in range(10):
                for step in STEPS:
                    for template in ("a", "b"):
                        for kind in ("correct", "shuffled"):
                            learnt = kind == "correct" and direction != "reverse"
                            nats = -20 + 0.1 * step + learnt * step + draw.normal(0, 0.5)
                            fact = f"{group}.{number}"
                            rows.append((step, step / 7, group, order, direction, template,
                                         fact, kind, nats, learnt and step == 14))  # fmt: skip
    columns = "step epoch group order direction template fact set log_prob greedy"
    return pd.DataFrame(rows, columns=columns.split())


def by_loop(table, kind, step, *, group, order):
    """Mean over facts of the mean over templates, one row a time."""
    sums: dict[str, list[float]] = {}
    for row in table.itertuples():
        if (row.set, row.step, row.group, row.order) == (kind, step, group, order):
            sums.setdefault(row.fact, []).append(row.log_prob)
    return np.array([np.mean(values) for values in sums.values()])


def test_cells_are_directions_or_the_orders_of_facts_told_in_both(table):
    assert [(cell.group, cell.asked) for cell in cells(table)] == [
        ("one", "same"), ("one", "reverse"), ("two", "forward"), ("two", "backward")
    ]  # fmt: skip
    assert sum(len(cell.rows) for cell in cells(table)) == len(table)


@pytest.mark.parametrize("kind", ["correct", "shuffled"])
@pytest.mark.parametrize(
    ("name", "group", "order"),
    [("one.same", "one", "forward"), ("one.reverse", "one", "backward"),
     ("two.backward", "two", "backward")],
)  # fmt: skip
def test_loss_and_its_change_from_the_rows(table, kind, name, group, order):
    found = estimates(table, 0)
    first, last = (by_loop(table, kind, s, group=group, order=order) for s in (0, 14))
    loss, change = found[f"trace.loss.{name}.{kind}"], found[f"trace.loss_change.{name}.{kind}"]
    assert loss.value == pytest.approx(-last.mean())
    assert change.value == pytest.approx((first - last).mean())
    assert change.low < change.value < change.high
    assert (loss.n, loss.unit) == (10, "nat")
    learnt = kind == "correct" and name != "one.reverse"
    assert change.value == pytest.approx(-15.4 if learnt else -1.4, abs=0.5)
    right = found[f"trace.accuracy.{name}.{kind}"]
    assert (right.value, right.unit) == (float(learnt), "fraction")
    points = found[f"trace.accuracy_change.{name}.{kind}"]
    assert (points.value, points.unit) == (100 * learnt, "percentage point")


def test_the_advantage_is_paired_by_fact_at_the_last_step(table):
    rows = next(cell.rows for cell in cells(table) if cell.asked == "same")
    expected = by_loop(table, "correct", 14, group="one", order="forward") - by_loop(
        table, "shuffled", 14, group="one", order="forward"
    )
    assert advantage(rows).tolist() == pytest.approx(expected.tolist())
    assert estimates(table, 0)["trace.advantage.one.same"].value == pytest.approx(expected.mean())


def test_pooled_is_over_the_facts_of_all_groups_told_in_one_order(table):
    again = table[table.group == "one"].assign(group="three")
    again = again.assign(fact="again." + again.fact, log_prob=again.log_prob - 3)
    found = estimates(pd.concat([table, again]), 0)
    one, three = (found[f"trace.loss.{name}.same.correct"] for name in ("one", "three"))
    pooled = found["trace.loss.pooled.same.correct"]
    assert three.value == pytest.approx(one.value + 3)
    assert pooled.value == pytest.approx((one.value + three.value) / 2)
    assert pooled.n == one.n + three.n
    assert not [name for name in found if "pooled.forward" in name]


def test_what_was_learnt_is_told_from_what_was_not(table):
    """Exact over 2^10 signs: with all ten facts positive one pattern in 1,024 is as extreme."""
    found = {test.name.removeprefix("trace.advantage."): test for test in over_shuffled(table, 0)}
    for name in ("one.same", "two.forward", "two.backward"):
        assert found[name].p == pytest.approx(1 / 1024)
        assert found[name].p_adjusted == pytest.approx(4 / 1024)
    assert found["one.reverse"].p > 0.05
    assert all(test.n == 10 for test in found.values())


def test_facts_that_ask_nothing():
    with pytest.raises(DataError, match="measure trace needs queries"):
        Trace().check(FactSet([], [], [], [], []))
