"""Appendix B.6: the reverse of what stands in the prompt, by both rules."""

from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from analysis.paper.figures import Dot
from analysis.paper.own import (
    CELLS,
    DIRECTIONS,
    RATES,
    SUBSETS,
    WHO,
    caption_of,
    dots_picture,
    own_table,
    source,
    who,
)
from analysis.paper.parts import (
    Item,
    Paper,
    Side,
    compare,
    not_run,
    setting_text,
    shown,
    sources,
    spread_text,
)
from analysis.paper.sweeps import Cell, by_setting, spreads
from interp_rc.display.section import Picture, Table
from interp_rc.display.wording import TIE, spoken
from interp_rc.evaluation.match import LETTERS, PREFIX
from interp_rc.records.nouns import Order

RULES = (LETTERS, PREFIX)
MODELS = ("base", "finetuned")


class Asked(NamedTuple):
    """What the published subsets are asked for in reverse, and the order of such a question."""

    target: str
    order: Order


ASKED = {
    "trained_forward": Asked("name", "backward"),
    "trained_backward": Asked("description", "forward"),
}
COLUMNS = {
    ("reverse", LETTERS): "in reverse, letters",
    ("reverse", PREFIX): "in reverse, prefix",
    ("same", PREFIX): "same order, prefix",
    ("reverse", "all", "candidate_accuracy"): "in reverse, among all candidates",
    ("reverse", "stated", "candidate_accuracy"): "in reverse, among the four stated",
    ("reverse", "stated", "candidate_accuracy", "list"): "from a list, among the four listed",
}


def in_context(paper: Paper) -> Item:
    printed, again = paper.item("in_context"), paper.item("in_context_again")
    trials = paper.table("in_context")
    found = by_setting(spreads(trials, "in_context.*", *RATES)) if trials is not None else []
    rows = []
    for shots, said in (("three_shots", "three examples"), ("no_shots", "no example")):
        for model in dict.fromkeys(again.model):
            for subset in SUBSETS:
                letters, prefix = (f"{rule}.{subset}.reverse.{shots}" for rule in RULES)
                here = _one(again, model, letters)
                if here:
                    here = f"letters{TIE}{here}, prefix{TIE}{_one(again, model, prefix)}"
                    there = _one(printed, model, letters)
                    label = f"{model}, {CELLS[subset]}, {said}"
                    rows.append([label, f"letters{TIE}{there}" if there else "", here, ""])
    own_rule = "Prefix (drawn) and letters (table), as before"
    own = Side(WHO, own_rule, missing=not_run("in_context"))
    tables = []
    if trials is not None:
        rows += own_rows(found)
        own = Side(who(trials), own_rule, [rates_picture(paper, found)], [source("in_context")])
        tables = [numbers(trials, found), out_of_context(paper, trials)]
    return Item(
        "Appendix B.6",
        "In context, GPT-3 can reverse",
        "“A is B” stands in the prompt; B is A is asked, after three examples or none.",
        (
            Side(
                "GPT-3 ada, babbage, curie, davinci, not finetuned; 30 facts",
                "Letters: all but letters is taken out of completion and target, then prefix",
                (),
                sources(printed),
            ),
            Side(
                "The published completions, read and scored again",
                "Letters as before; prefix: white space around and letter case ignored, "
                "punctuation kept",
                (),
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
        [compare(rows, "Right in reverse, in context"), *tables],
    )


def _one(table: pd.DataFrame, model: str, quantity: str) -> str:
    part = table[(table.model == model) & (table.quantity == quantity)]
    return "" if part.empty else shown(float(part.value.iloc[0]), str(part.unit.iloc[0]))


def result(
    model: str,
    subset: str,
    asked: str,
    how: str,
    quantity: str = "exact_match",
    context: str = "shots",
) -> str:
    """The name of a result, after three examples unless told otherwise."""
    return f"in_context.{model}.{quantity}.{context}.{asked}.{ASKED[subset].order}.{how}"


def own_rows(found: list[Cell]) -> list[list[str]]:
    """The base models beside GPT-3, which was not finetuned either."""
    rows = []
    for cell in found:
        for subset in SUBSETS:
            said = (
                f"{rule} {spoken(cell.found[result('base', subset, 'reverse', rule)].mean)}"
                for rule in RULES
            )
            label = f"embedded model, {setting_text(cell.setting)}, {CELLS[subset]}, three examples"
            rows.append([label, "", "", "\n".join(said).replace(" ", TIE)])
    return rows


def rates_picture(paper: Paper, found: list[Cell]) -> Picture:
    """By what is asked for: a row a corpus and model, same order and reverse beside each other."""
    panels = {
        f"asked for the {ASKED[subset].target}": [
            Dot(
                f"{setting_text(cell.setting)}, {model}",
                {a: cell.found[result(model, subset, a, PREFIX)].mean for a in DIRECTIONS},
            )
            for cell in found
            for model in MODELS
        ]
        for subset in SUBSETS
    }
    return dots_picture(paper, "in_context_own", panels)


def out_of_context(paper: Paper, trials: pd.DataFrame) -> Table:
    """Whether a corpus that reverses facts in context helps with those that were trained."""
    table = own_table(paper, "in_context", trials, RATES)
    return replace(table, caption=f"{table.caption}: facts finetuned on, not in the prompt")


def numbers(trials: pd.DataFrame, found: list[Cell]) -> Table:
    rows = [
        [
            f"{setting_text(cell.setting)}, {model}, asked for the {ASKED[subset].target}",
            *(spread_text(cell.found[result(model, subset, *of)]) for of in COLUMNS),
        ]
        for cell in found
        for model in MODELS
        for subset in SUBSETS
    ]
    caption = (
        f"{caption_of('in_context', trials)}: after three examples, or with the fact among four "
        "that are listed. Candidates: how often the right one is the likeliest, of all facts or "
        "of the four that the prompt states"
    )
    return Table(caption, ["setting", *COLUMNS.values()], rows)
