"""Correction for many tests: Holm for confirmatory sets, Benjamini-Hochberg for maps."""

from collections.abc import Sequence
from dataclasses import replace

from statsmodels.stats.multitest import multipletests

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Test


def holm(tests: Sequence[Test]) -> list[Test]:
    """Fill adjusted p-values that control the family-wise error (Holm 1979, SJS 6, 65-70).

    Tests without a p come back as they are and do not count. StatsError if a p is not in [0, 1].
    """
    return _corrected(tests, "holm", "holm")


def benjamini_hochberg(tests: Sequence[Test]) -> list[Test]:
    """Fill adjusted p-values that control the false discovery rate (1995, JRSS B 57, 289-300).

    Tests without a p come back as they are and do not count. StatsError if a p is not in [0, 1].
    """
    return _corrected(tests, "fdr_bh", "benjamini-hochberg")


def _corrected(tests: Sequence[Test], method: str, label: str) -> list[Test]:
    for test in tests:
        if test.p is not None and not 0 <= test.p <= 1:
            raise StatsError(f"test {test.name!r} has p = {test.p}; give null where there is no p")
    raw = [test.p for test in tests if test.p is not None]
    if not raw:
        return list(tests)
    adjusted = iter(multipletests(raw, method=method)[1])
    return [
        test
        if test.p is None
        else replace(test, p_adjusted=float(next(adjusted)), correction=label)
        for test in tests
    ]
