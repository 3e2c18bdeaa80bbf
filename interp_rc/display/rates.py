"""Rates by subset and direction: what figures, captions and sentences of them share."""

from interp_rc.display.figures.rates import Rate
from interp_rc.display.vocabulary import TOLD, Words, cells
from interp_rc.display.wording import spoken
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


def rates_of(quantity: str, measured: Measured, ending: str = "") -> list[Rate]:
    """The estimates ``<quantity>.<group>.<direction or order><ending>`` as rows of a figure."""
    return list(rates_by_cell(quantity, measured, ending).values())


def rates_by_cell(quantity: str, measured: Measured, ending: str = "") -> dict[str, Rate]:
    """The same, by group and direction or order, e.g. ``both.forward``."""
    start, words = f"{quantity}.", Words(measured.roles)
    names = {
        name.removeprefix(start).removesuffix(ending)
        for name in measured.estimates
        if name.startswith(start) and name.endswith(ending)
    }
    return {
        f"{group}.{asked}": Rate(
            words.told(group),
            words.asked(asked),
            asked,
            measured.estimates[f"{start}{group}.{asked}{ending}"],
        )
        for group, asked in cells(names)
    }


def described(rates: list[Rate]) -> str:
    """A figure of rates in words, for those who do not see it."""
    return " ".join(
        f"{rate.group[:1].upper()}{rate.group[1:]}, asked {rate.label}: {spoken(rate.estimate)}."
        for rate in rates
    )
