"""The tables of the page's section on children and their parents."""

from collections.abc import Sequence

from interp_rc.display.section import Table
from interp_rc.display.wording import in_nats, listed, probability, without_unit
from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.prompts import WORDINGS
from interp_rc.measures.parents.estimates import BETTER, POOLED, TYPES
from interp_rc.measures.parents.measure import REPLIES
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

ASKED_IN = {
    "who": "“Who is …?”",
    "name": "“Name …”",
    "complete": "“Complete the sentence …”",
    POOLED: "all wordings",
}
RULE = {
    "name_line_begins": "GPT-4’s: a line with the form of a name begins with it",
    "line_begins": "gpt-3.5’s: a line begins with it (counted by samples here, by lines there)",
    BETTER: "the same person: accents, initials and order aside",
}
SHORT = {"name_line_begins": "GPT-4’s", "line_begins": "gpt-3.5’s", BETTER: "same person"}
BOTH = ("forward", "backward")
SHOWN = 4
"""Facts whose greedy replies are shown."""
LONG = 160
"""Characters of a reply that are shown."""


def scopes(measured: Measured) -> list[str]:
    """All wordings together, and then each."""
    there = [w for w in WORDINGS if f"parents.{w}.unknown.forward" in measured.estimates]
    return [POOLED, *there]


def at(measured: Measured, *name: str) -> Estimate:
    return measured.estimates[".".join(("parents", *name))]


def numbers(run: Run, measured: Measured, samples: int) -> list[Table]:
    """All tables, those of probabilities where the model is one that gives them."""
    tables = [by_rule(measured, samples), others(measured), by_type(measured), added(measured)]
    if f"parents.{POOLED}.probability.forward" in measured.estimates:
        tables.append(likelihood(measured))
    return [*tables, replies(run)]


def by_rule(measured: Measured, samples: int) -> Table:
    columns = [
        *("wording", "rule", "parent", "child", "difference"),
        *("any parent", "any child", "greedy parent", "greedy child"),
    ]
    rows = [
        [
            ASKED_IN[scope],
            SHORT[rule],
            *(without_unit(at(measured, scope, "share", rule, order)) for order in BOTH),
            in_nats(at(measured, scope, "share", rule, "difference")),
            *(
                without_unit(at(measured, scope, quantity, rule, order))
                for quantity in ("any", "greedy")
                for order in BOTH
            ),
        ]
        for scope in scopes(measured)
        for rule in RULES
    ]
    rules = "; ".join(f"{SHORT[rule]}: {RULE[rule].partition(': ')[2]}" for rule in RULES)
    return Table(
        f"Right by wording and rule: share of {samples} samples, difference in percentage points, "
        f"at least one sample, greedy reply; percent. Rules: {rules}",
        columns,
        rows,
        columns[2:],
    )


def others(measured: Measured) -> Table:
    columns = ["wording", "unknown parent", "unknown child", "another child", "p (Holm)"]
    p = {test.name: test for test in measured.tests}
    rows = []
    for scope in scopes(measured):
        test = p.get(f"parents.{scope}.share.{BETTER}.difference")
        tested = None if test is None else test.p_adjusted or test.p
        rows.append(
            [
                ASKED_IN[scope],
                *(without_unit(at(measured, scope, "unknown", order)) for order in BOTH),
                without_unit(at(measured, scope, "other_child", "backward")),
                probability(tested),
            ]
        )
    return Table(
        "Samples that say they do not know, and those that name another child of the parent, right "
        "but not asked for; percent. p: parent and child are named as often (signs of children "
        "flipped; Holm over the wordings)",
        columns,
        rows,
        columns[1:],
    )


def by_type(measured: Measured) -> Table:
    columns = ["of", "parent", "child", "difference"]
    rows = [
        [
            scope,
            *(without_unit(at(measured, scope, "share", BETTER, order)) for order in BOTH),
            in_nats(at(measured, scope, "share", BETTER, "difference")),
        ]
        for scope in TYPES.values()
        if f"parents.{scope}.share.{BETTER}.forward" in measured.estimates
    ]
    caption = "Mothers and fathers apart: share of samples, all wordings; percent and points"
    return Table(caption, columns, rows, columns[1:])


def added(measured: Measured) -> Table:
    rules = [rule for rule in RULES if rule != BETTER]
    columns = ["beyond the rule", "parent", "child"]
    rows = [
        [RULE[rule], *(in_nats(at(measured, POOLED, "added_to", rule, order)) for order in BOTH)]
        for rule in rules
    ]
    return Table(
        "What the rule “same person” finds more than the published ones: percentage points of "
        "all samples (below zero: less)",
        columns,
        rows,
        columns[1:],
    )


def likelihood(measured: Measured) -> Table:
    columns = ["wording", "parent", "child", "difference", "parent [nat]", "child [nat]"]
    rows = [
        [
            ASKED_IN[scope],
            *(without_unit(at(measured, scope, "probability", order)) for order in BOTH),
            in_nats(at(measured, scope, "probability", "difference")),
            *(in_nats(at(measured, scope, "log_prob", order)) for order in BOTH),
        ]
        for scope in scopes(measured)
    ]
    return Table(
        "Probability of the right name, all of its tokens, whatever follows it; percent, points, "
        "and mean log-probability",
        columns,
        rows,
        columns[1:],
    )


def replies(run: Run) -> Table:
    """The first facts' greedy replies in the first wording, both ways."""
    table = run.table(REPLIES)
    table = table[table["sample"].isna() & (table.wording == table.wording.iloc[0])]
    facts = list(dict.fromkeys(table.fact))[:SHOWN]
    rows = [
        [
            asked(row.child, row.parent, row.parent_type, row.order),
            cut(row.text) or "(nothing)",
            row.target,
            right([SHORT[rule] for rule in RULES if getattr(row, rule)], row.other_child),
        ]
        for row in table[table.fact.isin(facts)].itertuples()
    ]
    return Table(
        "Greedy replies to the list’s first pairs, not chosen for what they say",
        ["asked for", "reply", "right would be", "right by the rules"],
        rows,
    )


def asked(child: str, parent: str, parent_type: str, order: str) -> str:
    return f"the {parent_type} of {child}" if order == "forward" else f"a child of {parent}"


def right(rules: Sequence[str], other_child: bool) -> str:
    if len(rules) == len(RULES):
        return "all"
    return listed(rules) if rules else "none: another child" if other_child else "none"


def cut(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]}…"
