"""Appendix B.6: the reverse of what stands in the prompt, by both rules."""

import pandas as pd

from analysis.paper.own import CELLS, SUBSETS, own_side
from analysis.paper.parts import Item, Paper, Side, compare, shown, sources

RULES = ("letters", "prefix")


def in_context(paper: Paper) -> Item:
    printed, again = paper.item("in_context"), paper.item("in_context_again")
    mine, table = own_side(paper, "in_context", "*", rule="Both rules, named in the results")
    rows = []
    for shots, said in (("three_shots", "three examples"), ("no_shots", "no example")):
        for model in dict.fromkeys(again.model):
            for subset in SUBSETS:
                letters, prefix = (f"{rule}.{subset}.reverse.{shots}" for rule in RULES)
                here = _one(again, model, letters)
                if here:
                    here = f"letters {here}, prefix {_one(again, model, prefix)}"
                    there = _one(printed, model, letters)
                    label = f"{model}, {CELLS[subset]}, {said}"
                    rows.append([label, f"letters {there}" if there else "", here, ""])
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
