"""Every tool finds what was planted; the full table is made by one command."""

import pandas as pd
import pytest

from analysis.planted_tools.__main__ import TOOLS, rows, summary
from analysis.planted_tools.finding import finding
from interp_rc.records.numbers import Test

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    """Those that mislead most; the tools' own tests have the others."""
    return summary(pd.DataFrame(rows(1, ("decoy", "value_as_key"))))


def test_the_planted_place_comes_first(table):
    assert set(table.tool) == set(TOOLS) - {"mutual probe"}
    assert (table["first"].dropna() == 1).all(), table[table["first"] < 1]
    assert table["first"].isna().sum() == 2  # no value is a key among decoys


def test_nothing_is_called_where_nothing_is(table):
    assert table.null_sites.sum() > 500
    assert table["false"].sum() == 0, table[table["false"] > 0]


def test_what_is_planted_is_called(table):
    given = table[table.tool == "coefficients given"]
    assert (given.discoveries >= given.plantings).all()


def test_calls_on_null_sites_are_counted():
    def test(name, p):
        return Test(name, "t", 1.0, p, p, "benjamini-hochberg", None, 8)

    tests = [test("store", 0.001), test("null", 0.01), test("other", 0.4), test("decoy", 0.2)]
    found = finding(True, tests, {"null", "other", "untested"}, [0.1, -0.3])
    assert found == (True, 2, 2, 1, 0.3)
