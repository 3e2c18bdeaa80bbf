"""The paired comparison with and without the text, on sweeps made by hand."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from analysis.old_names import read_table
from analysis.symmetric_reversal import AXIS, TESTED, main, whole_table
from interp_rc.records.errors import RunError
from interp_rc.records.files import write_json, write_parquet
from interp_rc.records.sweeps import SweepRun

SEEDS = range(4)
DRAW = np.random.default_rng(0).normal(0, 1, (2, 4))


def value(name, amount, seed):
    """Seeds differ by much; the text adds two nats to what is right in reverse."""
    own = 10 * seed + DRAW[int(amount > 0), seed]
    return own + (2.0 + DRAW[0, seed]) * (amount > 0) * ("antisymmetric" not in name)


@pytest.fixture
def sweep(tmp_path):
    names = [*TESTED, "exact_match.symmetric.reverse", "exact_match.pooled.same"]
    rows = []
    for amount in (0, 6000):
        for seed in SEEDS:
            trial = f"t{amount}-{seed}"
            write_json(tmp_path / "trials" / trial / "environment.json", {"seed": seed, "x": 1})
            for name in names:
                rate = name.startswith("exact_match")
                found = 0.25 * (amount > 0) if rate else value(name, amount, seed)
                unit = "fraction" if rate else "nat"
                rows.append((trial, amount, seed, name, found, None, None, 60, unit))
    columns = ["trial", AXIS, "seed", "name", "value", "low", "high", "n", "unit"]
    write_parquet(tmp_path / "trials.parquet", pd.DataFrame(rows, columns=columns))
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"name": "x", "axes": [AXIS, "seed"]}))
    return SweepRun(tmp_path)


def test_changes_are_paired_by_seed(sweep):
    table = whole_table(sweep)
    rows = table[table.quantity == "change"].set_index("name")
    for name in TESTED:
        apart = [value(name, 6000, seed) - value(name, 0, seed) for seed in SEEDS]
        expected = stats.ttest_1samp(apart, 0)
        low, high = expected.confidence_interval()
        row = rows.loc[name]
        assert (row.value, row.low, row.high) == pytest.approx((np.mean(apart), low, high))
        assert (row.statistic, row.p) == pytest.approx((expected.statistic, expected.pvalue))
        assert (row.n, row.unit) == (4, "nat")
        assert row.p <= row.p_adjusted <= 1
    # Paired, the change is seen; between seeds, ten times as much varies.
    levels = table[(table.quantity == "level") & (table.name == TESTED[0])]
    assert (levels.high - levels.low).min() > 20 > 10 * (rows.high - rows.low)[TESTED[0]] / 2


def test_rates_change_by_points_and_what_is_not_shown_is_left_out(sweep):
    table = whole_table(sweep)
    rows = table[table.name == "exact_match.symmetric.reverse"]
    assert list(rows.value) == [0, 0.25, 25]
    assert list(rows.unit) == ["fraction", "fraction", "percentage points"]
    assert "exact_match.pooled.same" not in set(table.name)
    assert rows.p.isna().all()


def test_the_command(sweep, tmp_path):
    main([str(sweep.folder), "--out", str(tmp_path / "tables")])
    written = read_table(tmp_path / "tables" / "symmetric_reversal.csv")
    assert len(written) == 3 * 4
    assert (tmp_path / "tables" / "symmetric_reversal.environment.json").is_file()


def test_another_sweep_is_refused(sweep):
    table = pd.read_parquet(sweep.trials_file)
    write_parquet(sweep.trials_file, table[table[AXIS] == 0])
    with pytest.raises(RunError, match="is no sweep over"):
        whole_table(sweep)
