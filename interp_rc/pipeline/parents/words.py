"""The rates of result tables as plain text, a block a table, within a hundred columns."""

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap

from interp_rc.evaluation.parents.rates import CONDITIONED, Rates, Scored
from interp_rc.records.numbers import Estimate
from interp_rc.report.parent_tables import MEASURED, SAMPLED

LINE = 96
"""Characters."""
GAP = "  "
Columns = dict[str, Callable[[Rates], str]]


def text(scored: Sequence[Scored]) -> str:
    """Percent with 95 % intervals over children."""
    return "\n\n".join("\n".join(block(one)) for one in scored)


def block(one: Scored) -> Iterator[str]:
    whole = one.whole
    yield one.name
    yield from wrap(f"{one.table.path.name}: {MEASURED[one.table.kind]}.", LINE)
    if whole.parent is None:
        yield from wrap(f"Read with care: {CONDITIONED}.", LINE)
        yield from aligned(one.rates, OF | {"child [%]": lambda r: with_interval(r.child)})
        return
    yield from aligned(one.rates, OF | BOTH)
    if whole.any_parent is not None:
        yield f"{SAMPLED}:"
        yield from aligned(one.rates, OF | ANY)


OF: Columns = {
    "counted": lambda r: r.counted,
    "type": lambda r: r.parent_type,
    "pairs": lambda r: str(r.pairs),
}
BOTH: Columns = {
    "parent [%]": lambda r: with_interval(r.parent),
    "child [%]": lambda r: with_interval(r.child),
    "difference [points]": lambda r: with_interval(r.difference),
    "p": lambda r: f"{r.test.p:.4f}" if r.test and r.test.p is not None else "",
}
ANY: Columns = {
    "parent [%]": lambda r: with_interval(r.any_parent),
    "child [%]": lambda r: with_interval(r.any_child),
}


def aligned(rates: Sequence[Rates], columns: Columns) -> Iterator[str]:
    rows = [list(columns), *([say(one) for say in columns.values()] for one in rates)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if title in ("counted", "type") else cell.rjust(width)
            for title, cell, width in zip(columns, row, widths, strict=True)
        )
        yield GAP + GAP.join(cells).rstrip()


def with_interval(estimate: Estimate | None) -> str:
    """Percent, or percentage points."""
    if estimate is None or estimate.value is None:
        return ""
    scale = 100 if estimate.unit == "fraction" else 1
    value = f"{scale * estimate.value:.2f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{scale * estimate.low:.1f}, {scale * estimate.high:.1f}]"
