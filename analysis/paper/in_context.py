"""Appendix B.6: the reverse of what stands in the prompt, by both rules."""

from dataclasses import replace

import pandas as pd

from analysis.paper.parts import (
    CELLS,
    DIRECTIONS,
    OWN,
    RATES,
    Paper,
    Side,
    compare,
    item,
    not_run,
    shown,
    source,
    sources,
    who,
)
from analysis.paper.sweeps import at_settings, axes
from interp_rc.display.figures.rates import Rate
from interp_rc.display.section import Section, Table
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import spoken
from interp_rc.evaluation.match import LETTERS, PREFIX
from interp_rc.records.sweeps import Cells
from interp_rc.report.sweep import setting

RULES = (LETTERS, PREFIX)
MODELS = ("base", "finetuned")
EXAMPLES = {"three_shots": "three examples", "no_shots": "no example"}
ORDERS = dict(zip(("backward", "forward"), CELLS, strict=True))
"""The order of asking for the reverse of each group."""
SOUGHT = {"backward": "name", "forward": "description"}
COLUMNS = {
    "exact_match.shots.reverse.{}.letters": "in reverse, letters",
    "exact_match.shots.reverse.{}.prefix": "in reverse, prefix",
    "exact_match.shots.same.{}.prefix": "same order, prefix",
    "candidate_accuracy.shots.reverse.{}.all": "in reverse, among all candidates",
    "candidate_accuracy.shots.reverse.{}.stated": "in reverse, among the four stated",
    "candidate_accuracy.list.reverse.{}.stated": "from a list, among the four listed",
}
EXACT = "in_context.base.exact_match.shots.{}.{}.{}"
"""By direction, order and rule: of the base models, as GPT-3 was not finetuned either."""


def in_context(paper: Paper) -> Section:
    printed, again = paper.item("in_context"), paper.item("in_context_again")
    trials, rule = paper.table("in_context"), "Prefix (drawn) and letters (table), as before"
    own, rates, tables = not_run("in_context", rule).side, [], []
    rows = [
        [f"{model}, {told}, {said}", *(by_rule(table, model, f"{group}.reverse.{shots}")
                                       for table in (printed, again)), ""]
        for shots, said in EXAMPLES.items()
        for model in again.model.unique()
        for group, told in CELLS.items()
        if by_rule(again, model, f"{group}.reverse.{shots}")
    ]  # fmt: skip
    if trials is not None:
        varied = axes(trials)
        cells = at_settings(trials, set(trials["name"]), varied)
        own = Side(who(trials), rule, [source("in_context")])
        for cell, found in cells.items():
            corpus = setting(cell, varied)
            for order, group in ORDERS.items():
                label = f"embedded model, {corpus}, {CELLS[group]}, three examples"
                said = (f"{r} {spoken(found[EXACT.format('reverse', order, r)])}" for r in RULES)
                rows.append([label, "", "", ", ".join(said)])
                rates += [
                    Rate(f"{corpus}: the {SOUGHT[order]}", ASKED[a], a,
                         found[EXACT.format(a, order, PREFIX)])
                    for a in DIRECTIONS
                ]  # fmt: skip
        facts = paper.settings("in_context", cells, varied, list(RATES))
        caption = f"{facts.caption}: facts finetuned on, not in the prompt"
        tables = [numbers(cells, varied), replace(facts, caption=caption)]
    return item(
        "Appendix B.6: In context, GPT-3 can reverse",
        "“A is B” stands in the prompt; B is A is asked, after three examples or none.",
        (
            Side(
                "GPT-3 ada, babbage, curie, davinci, not finetuned; 30 facts",
                "Letters: all but letters is taken out of completion and target, then prefix",
                sources(printed),
            ),
            Side(
                "The published completions, read and scored again",
                "Letters as before; prefix: white space around and letter case ignored, "
                "punctuation kept",
                sources(again),
            ),
            own,
        ),
        "Under the strict rule three to five of thirty descriptions count as wrong, nearly all "
        "because the target ends in a quotation mark with a period inside and outside of it and "
        "the model writes one period only. GPT-3 has read text of all kinds, in which what was "
        "said before is asked for; a small model has met that only if its corpus holds documents "
        "that do so, and both kinds of corpus are shown. After examples the right answer is what "
        "was stated last, which can be repeated without understanding; in a list it has to be "
        "found, and a quarter is chance.",
        [paper.rates("in_context_own", rates, f"{OWN}: base models asked for …", over="seeds")],
        [compare(rows, "Right in reverse, in context"), *tables],
    )


def by_rule(table: pd.DataFrame, model: str, quantity: str) -> str:
    """The rates of a published model under each rule that it was scored by."""
    rates = table[table.model == model].set_index("quantity").value
    names = {rule: f"{rule}.{quantity}" for rule in RULES}
    return ", ".join(
        f"{rule} {shown(float(rates[name]), 'fraction')}"
        for rule, name in names.items()
        if name in rates.index
    )


def numbers(cells: Cells, varied: list[str]) -> Table:
    rows = [
        [f"{setting(cell, varied)}, {model}, asked for the {SOUGHT[order]}"]
        + [spoken(found[f"in_context.{model}.{name.format(order)}"]) for name in COLUMNS]
        for cell, found in cells.items()
        for model in MODELS
        for order in ORDERS
    ]
    caption = (
        "This run, in_context: means with 95 % intervals after three examples, or with the fact "
        "among four that are listed. Candidates: how often the right one is the likeliest, of all "
        "facts or of the four that the prompt states"
    )
    return Table(caption, ["setting", *COLUMNS.values()], rows)
