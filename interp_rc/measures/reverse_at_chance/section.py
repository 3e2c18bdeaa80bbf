"""The page's section on the claim that the reverse is at chance."""

from collections.abc import Mapping
from typing import Any

from interp_rc.display.rates import by_cell
from interp_rc.display.section import Section, Table
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import probability, spoken
from interp_rc.measures.reverse_at_chance.measure import NAME
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.runs import Measured, Run


def section(run: Run, measured: Measured) -> Section:
    return Section(
        title="Is the reverse at chance?",
        sentence=(
            "Claim: asked in reverse, the right target is no more likely than the other "
            "candidates once each candidate’s prior is taken off."
        ),
        tables=[margins(measured)],
        note=NOTE,
        exploratory=exploratory(run.config()),
    )


def margins(measured: Measured) -> Table:
    """Per group: the margin, its test, and the test of accuracy among candidates."""
    adjusted = {test.name: test.p_adjusted for test in measured.tests}
    rows = []
    for key, margin in by_cell(measured, quantity="margin").items():
        below, above, choice = (
            probability(adjusted.get(Estimates(NAME).name(**cell(*key), quantity=tested)))
            for tested in ("nats", "nats_above", "candidate_accuracy")
        )
        chance = measured.estimates.of(**cell(*key), quantity="chance")
        facts = Words(measured.roles).cell(*key)
        rows.append([facts, spoken(margin), below, above, spoken(chance), choice])
    columns = [
        "facts",
        "margin",
        "p, advantage below margin",
        "p, above it",
        "chance",
        "p, choice above chance",
    ]
    return Table("Holm-adjusted p-values", columns, rows, columns[1:])


NOTE = (
    "A small p on the left says that the advantage of the right target is below the margin, 5 % of "
    "the advantage in the trained order; a small p beside it that it is above, which refutes the "
    "claim; a small p on the right that the model still picks the right one more often than blind "
    "choice would. A large p alone is never taken as “no difference”."
)


def exploratory(config: Mapping[str, Any]) -> str:
    """Said beside the verdict where the margin was not fixed before the run."""
    margins = [m.get("margin") for m in config.get("measures", []) if m.get("kind") == NAME]
    if not margins or margins[0] is not None:
        return ""
    return (
        "Exploratory: the margin, 5 % of the advantage in the trained order, was taken from this "
        "run itself and not fixed beforehand."
    )
