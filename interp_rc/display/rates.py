"""Rates by group and direction: what figures, captions and sentences of them share."""

from interp_rc.display.figures.rates import Rate
from interp_rc.display.vocabulary import TOLD, Words
from interp_rc.display.wording import listed, spoken
from interp_rc.records.estimates import cell
from interp_rc.records.nouns import CELLS
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

HARDLY = 0.1
"""Below this share of right answers in the same order, the facts do not count as learnt."""


def caption(rates: list[Rate]) -> str:
    text = (
        "Share of queries whose greedy completion begins with the target (case and surrounding "
        "space ignored), averaged per fact. Bars and points: mean over facts; lines: 95 % "
        "interval over facts."
    )
    if any(rate.group == TOLD["both"] for rate in rates):
        text += " Facts told in both orders are the positive control: they can be said either way."
    return text


def by_cell(measured: Measured, **of: str) -> dict[tuple[str, str], Estimate]:
    """The estimates of these by group and direction or order, as far as there are any."""
    found = {key: measured.estimates.find(**of, **cell(*key)) for key in CELLS}
    return {key: estimate for key, estimate in found.items() if estimate is not None}


def rates_of(measured: Measured, **of: str) -> list[Rate]:
    """The same as rows of a figure."""
    words = Words(measured.roles)
    return [
        Rate(words.told(group), words.asked(asked), asked, estimate)
        for (group, asked), estimate in by_cell(measured, **of).items()
    ]


def in_directions(rates: list[Rate]) -> str:
    """Those of facts told in one order, in words; empty if there are none."""
    parts = []
    for asked, words in (("same", "asked in the same order, in"), ("reverse", "in reverse, in")):
        found = [f"{spoken(rate.estimate)} ({rate.group})" for rate in rates if rate.asked == asked]
        if found:
            parts.append(f"{words} {listed(found)}")
    return "; ".join(parts)


def described(rates: list[Rate]) -> str:
    """A figure of rates in words, for those who do not see it."""
    return " ".join(
        f"{rate.group[:1].upper()}{rate.group[1:]}, asked {rate.label}: {spoken(rate.estimate)}."
        for rate in rates
    )
