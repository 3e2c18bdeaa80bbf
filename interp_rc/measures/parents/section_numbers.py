"""The tables of the page's section on children and their parents."""

from collections.abc import Sequence

from interp_rc.display.section import Table
from interp_rc.display.wording import in_nats, listed, probability, without_unit
from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.prompts import WORDINGS
from interp_rc.measures.parents.estimates import BETTER, POOLED, SHARE, test_name
from interp_rc.measures.parents.measure import REPLIES
from interp_rc.records.nouns import ORDERS
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
SHOWN = 4
"""Facts whose greedy replies are shown."""
LONG = 160
"""Characters of a reply that are shown."""


def wordings(measured: Measured) -> list[str]:
    """All wordings together, and then each."""
    there = measured.estimates.each("wording")
    return [wording for wording in (POOLED, *WORDINGS) if wording in there]


def in_orders(measured: Measured, **of: str) -> list[Estimate]:
    """Of parents, and of children."""
    return [measured.estimates.of(**of, order=order) for order in ORDERS]


def compared(measured: Measured, **of: str) -> list[str]:
    """Both orders, and their difference."""
    apart = measured.estimates.of(**of, order="difference")
    return [*map(without_unit, in_orders(measured, **of)), in_nats(apart)]


def numbers(run: Run, measured: Measured, samples: int) -> list[Table]:
    """All tables, those of probabilities where the model is one that gives them."""
    tables = [by_rule(measured, samples), others(measured), by_type(measured), added(measured)]
    if "probability" in measured.estimates.each("quantity"):
        tables.append(likelihood(measured))
    return [*tables, replies(run)]


def by_rule(measured: Measured, samples: int) -> Table:
    columns = [
        *("wording", "rule", "parent", "child", "difference"),
        *("any parent", "any child", "greedy parent", "greedy child"),
    ]
    rows = [
        [
            ASKED_IN[wording],
            SHORT[rule],
            *compared(measured, wording=wording, quantity="share", rule=rule),
            *(
                without_unit(rate)
                for quantity in ("any", "greedy")
                for rate in in_orders(measured, wording=wording, quantity=quantity, rule=rule)
            ),
        ]
        for wording in wordings(measured)
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
    for wording in wordings(measured):
        test = p.get(test_name(wording))
        tested = None if test is None else test.p_adjusted or test.p
        shares = (
            measured.estimates.of(wording=wording, quantity=quantity, order=order)
            for quantity, order in (
                ("unknown", "forward"),
                ("unknown", "backward"),
                ("other_child", "backward"),
            )
        )
        rows.append([ASKED_IN[wording], *map(without_unit, shares), probability(tested)])
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
        [relation, *compared(measured, relation=relation, **SHARE)]
        for relation in measured.estimates.each("relation")
    ]
    caption = "Mothers and fathers apart: share of samples, all wordings; percent and points"
    return Table(caption, columns, rows, columns[1:])


def added(measured: Measured) -> Table:
    columns = ["beyond the rule", "parent", "child"]
    of = {"wording": POOLED, "quantity": "added_to"}
    rows = [
        [RULE[rule], *map(in_nats, in_orders(measured, **of, rule=rule))]
        for rule in RULES
        if rule != BETTER
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
            ASKED_IN[wording],
            *compared(measured, wording=wording, quantity="probability"),
            *map(in_nats, in_orders(measured, wording=wording, quantity="log_prob")),
        ]
        for wording in wordings(measured)
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
