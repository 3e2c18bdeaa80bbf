"""Committed verdicts and margins follow from the committed numbers, in the unit that is tested."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import verdicts
from analysis.descriptions import TABLES, prereg
from analysis.old_names import read_table
from interp_rc.measures.reverse_at_chance.measure import ASKED_ALIKE


def run_rows(control, reverse, chosen=(0.03, 0.0, 0.2)):
    """A run's rows: value and interval of the control and of the reverse, for both kinds alike."""
    rows = []
    for cell, alike in ASKED_ALIKE.items():
        for name, numbers, unit in (
            (verdicts.ADVANTAGE.format(alike), control, "nat"),
            (verdicts.ADVANTAGE.format(cell), reverse, "nat"),
            (verdicts.CHOICE.format(cell), chosen, "fraction"),
        ):
            rows.append((name, *numbers, 30, unit))
    return pd.DataFrame(rows, columns=["name", "value", "low", "high", "n", "unit"])


@pytest.mark.parametrize(
    ("control", "reverse", "expected"),
    [
        ((14, 12, 16), (14, 12, 16), "refuted"),  # told in both orders
        ((14, 12, 16), (0.1, -0.4, 0.6), "supported"),
        ((14, 12, 16), (0.1, -0.9, 1.1), "inconclusive"),
        ((0.1, -1, 1.2), (0.1, -0.9, 1.1), "inconclusive"),  # nothing learnt
        ((14, 6, 22), (9, 8, 10), "inconclusive"),  # 0.7 is more than a tenth of 6
    ],
)
def test_a_verdict_follows_from_the_intervals(control, reverse, expected):
    assert verdicts.judged(run_rows(control, reverse))[0] == expected


def test_what_is_chosen_above_chance_is_not_at_chance():
    found, _ = verdicts.judged(run_rows((14, 12, 16), (0.1, -0.4, 0.6), (0.3, 0.1, 0.5)))
    assert found == "inconclusive"


@pytest.mark.parametrize("name", [*verdicts.SWEEPS, "published"])
def test_committed_margins_are_a_twentieth_of_the_trained_order(name):
    table = read_table(TABLES / f"{name}.csv", dtype={"trial": str})
    for _, rows in table.groupby("templates_seen" if name == "published" else "trial"):
        value = rows.set_index("name").value
        for cell, alike in ASKED_ALIKE.items():
            margin = value.get(f"reverse_at_chance.{cell}.margin", np.nan)
            control = value.get(f"log_prob_corrected.{alike}.difference", np.nan)
            assert np.isnan(margin) or margin == pytest.approx(0.05 * control, rel=1e-4)


@pytest.mark.parametrize("name", ["forty_thousand", "scaling"])
def test_committed_verdicts_are_those_of_the_committed_intervals(name):
    sweep = read_table(TABLES / f"{name}.csv", dtype={"trial": str})
    committed = read_table(TABLES / f"{name}_verdicts.csv", dtype={"trial": str})
    assert verdicts.verdicts(sweep, committed).verdict.tolist() == committed.verdict.tolist()


def test_committed_tests_in_nats_have_the_margin_of_their_unit():
    tests = read_table(TABLES / "descriptions_tests.csv").set_index("name")
    by_seed = read_table(TABLES / "descriptions_by_seed.csv")
    assert not tests.index.str.contains("strict").any()
    for cell, alike in ASKED_ALIKE.items():
        asked, control = (
            by_seed[by_seed.name == f"log_prob_corrected.{one}.difference"].value
            for one in (cell, alike)
        )
        test = tests.loc[f"{cell}.nats"]
        assert test.margin in prereg()["strict_margins"].values()
        assert test.margin < control.mean() / 10
        expected = stats.ttest_1samp(asked, test.margin, alternative="less").pvalue
        assert test.p == pytest.approx(expected, rel=1e-4)
