"""What was tried against the curse: more data, and data of other kinds."""

from analysis.paper.own import own_side
from analysis.paper.parts import Item, Paper, Side, compare, sources, spread_text
from analysis.paper.scaling import over_runs
from analysis.paper.sweeps import spreads
from analysis.paper.table1 import PREFIX, SEEN, rerun_rates
from interp_rc.display.wording import spoken


def forty_thousand(paper: Paper) -> Item:
    own, table = own_side(paper, "forty_thousand", rule=PREFIX)
    return Item(
        "Appendix B.7",
        "Forty thousand documents",
        "Does a much larger finetuning set bring the reverse? Facts are told about equally often.",
        (
            Side("", missing=paper.lost("forty_thousand")),
            Side("", missing=["The larger data set is not among the published data used here."]),
            own,
        ),
        "No published number was found to compare with.",
        [table] if table else [],
    )


REMEDIES = {
    "paraphrases": (
        "Paraphrases of every fact",
        "As many documents of each fact, told in fewer or more templates.",
    ),
    "question_answer": (
        "Questions and answers instead of statements",
        "The same facts told as statements, or as a question and its answer.",
    ),
    "one_document": (
        "Both orders in one document",
        "Facts told in both orders in one document, or in one each: do the others profit?",
    ),
}


def remedies(paper: Paper) -> list[Item]:
    return [both_doses(paper), *(remedy(paper, experiment) for experiment in REMEDIES)]


def remedy(paper: Paper, experiment: str) -> Item:
    own, table = own_side(paper, experiment, rule=PREFIX)
    return Item(
        "Experiment 1, remedies",
        *REMEDIES[experiment],
        (
            Side("", missing=paper.lost("remedies")),
            Side("", missing=["Nothing published to score again."]),
            own,
        ),
        "No published number was found to compare with. Where the same order is not learnt, the "
        "reverse says nothing.",
        [table] if table else [],
    )


def both_doses(paper: Paper) -> Item:
    """Other facts told in both orders; beside them, how well those are recalled themselves."""
    own, table = own_side(paper, "both_doses", rule=PREFIX)
    found, again, mine = (
        paper.item("scaling"),
        paper.table("published"),
        paper.table("descriptions_by_seed"),
    )
    told = found[found.quantity == "exact_match.both"]
    models = paper.item("sizes").sort_values("value").model
    rows = [
        [f"{model}, both orders of asking", over_runs(found, model, "exact_match.both"), "", ""]
        for model in models
    ]
    for cell, asked in (("both.forward", "name first"), ("both.backward", "description first")):
        middle = [
            f"run here, {said}: {spoken(rate)}"
            for seen, said in SEEN.items()
            for rate in rerun_rates(again, seen, (cell,)).values()
        ]
        here = [] if mine is None else list(spreads(mine, f"exact_match.{cell}"))
        right = spread_text(here[0]) if here else ""
        rows.append([f"embedded model, asked {asked}", "", "\n".join(middle), right])
    return Item(
        "Experiment 1, remedies",
        "Other facts told in both orders",
        "Do facts told both ways teach the model to reverse the rest?",
        (
            Side(
                "GPT-3, twelve finetuned models: 30 of 90 facts told in both orders",
                f"{PREFIX}; both orders of asking pooled",
                (),
                sources(told),
            ),
            Side(
                "Embedded model on the published data, three seeds",
                PREFIX,
                (),
                ["analysis/tables/published.csv"],
            ),
            own,
        ),
        "All published runs hold such facts, and the rest stays unreversed (Table 1). How well "
        "they are recalled themselves: in the published test the answers to the "
        "description-first half go on after the name in words that no fact fixes, so there "
        "next to nothing can match and about half is the most that can be right; our own facts "
        "end with the name.",
        [
            compare(rows, "Exact match of the facts told in both orders"),
            *([table] if table else []),
        ],
    )
