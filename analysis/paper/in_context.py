"""Appendix B.6: the reverse of what stands in the prompt, by both rules."""

import pandas as pd

from analysis.paper.own import CELLS, own_side
from analysis.paper.parts import Item, Paper, Side, compare, shown, sources
from analysis.paper.table1 import SUBSETS


def in_context(paper: Paper) -> Item:
    printed, again = paper.item("in_context"), paper.item("in_context_again")
    mine, table = own_side(paper, "in_context", "*", rule="Both rules, named in the results")
    rows = []
    for shots, said in (("three_shots", "three examples"), ("no_shots", "none")):
        for model in dict.fromkeys(again.model):
            for subset in SUBSETS:
                for rule in ("letters", "prefix"):
                    name = f"{rule}.{subset}.reverse.{shots}"
                    here = _one(again, model, name)
                    if here:
                        label = f"{model}, {CELLS[subset]}, {said}, {rule}"
                        rows.append([label, _one(printed, model, name), here, ""])
    return Item(
        "Appendix B.6",
        "In context, the reverse is easy",
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
            mine,
        ),
        "Under the strict rule three to five of thirty descriptions count as wrong, nearly all "
        "because the target ends in a quotation mark with a period inside and outside of it and "
        "the model writes one period only. A small model pretrained on single statements has "
        "had no practice in reading answers off its prompt.",
        [compare(rows, "Right in reverse, in context"), *([table] if table else [])],
    )


def _one(table: pd.DataFrame, model: str, quantity: str) -> str:
    part = table[(table.model == model) & (table.quantity == quantity)]
    return "" if part.empty else shown(float(part.value.iloc[0]), str(part.unit.iloc[0]))
