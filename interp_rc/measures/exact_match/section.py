"""The page's section on answers where only the answers can be read."""

from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.rates import described, in_directions, rates_of
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import spoken
from interp_rc.records.runs import Measured, Run


def section(run: Run, measured: Measured) -> Section:
    named = rates_of(measured, quantity="any_target")
    return Section(
        title="What it says instead",
        sentence=sentence(named),
        figures=[said(run, named)],
        tables=[numbers(measured)],
        note=(
            "Every query was asked once, at temperature 0, and only the answer was read. A model "
            "that never says a target of the kind asked for cannot be right, whatever it knows; "
            "one that says the wrong ones has learnt what to say, and not of whom. How likely it "
            "holds the right target, its answers do not tell; of a model that is loaded here, the "
            "measure “behaviour” asks that, too."
        ),
    )


def sentence(named: list[Rate]) -> str:
    """How often any target of the group is said, by direction."""
    told = in_directions(named)
    if not told:
        return "No fact was told in one order only."
    return f"The answer begins with a target of the group, right or wrong: {told}."


def said(run: Run, named: list[Rate]) -> Picture:
    return picture(
        run,
        "any_target",
        lambda theme: rates_figure(named, theme, quantity="answers with any target"),
        title="Does it say a target at all?",
        alt="Answers that begin with any target, with 95 % intervals. " + described(named),
        caption=(
            "Share of answers that begin with the target of any fact of the group, right or "
            "wrong, averaged per fact; lines: 95 % interval over facts."
        ),
    )


def numbers(measured: Measured) -> Table:
    """Right answers beside those that name any target."""
    right, named = (rates_of(measured, quantity=name) for name in ("exact_match", "any_target"))
    return Table(
        "Share of answers; 95 % intervals over facts",
        ["facts", "asked", "right", "any target", "number of facts"],
        [
            [
                one.group,
                one.label,
                spoken(one.estimate),
                spoken(other.estimate),
                str(one.estimate.n),
            ]
            for one, other in zip(right, named, strict=True)
        ],
        ["right", "any target", "number of facts"],
    )
