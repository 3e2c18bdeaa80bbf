"""What was tried against the curse: more data, other data, prompt tuning."""

from analysis.paper.own import SMALL, over_training, own_side, training_picture
from analysis.paper.parts import Item, Paper, Side, compare, sources
from analysis.paper.scaling import over_runs
from analysis.paper.table1 import PREFIX


def forty_thousand(paper: Paper) -> Item:
    own, table = own_side(paper, "forty_thousand", rule=PREFIX)
    return Item(
        "Appendix B.7",
        "Forty thousand documents",
        "Does a much larger finetuning set bring the reverse?",
        (
            Side("", missing=paper.lost("forty_thousand")),
            Side("", missing=["The larger data set is not among the published data used here."]),
            own,
        ),
        "No published number was found to compare with.",
        [table] if table else [],
    )


def prompt_tuning(paper: Paper) -> Item:
    own, table = own_side(paper, "prompt_tuning", "*", rule=PREFIX)
    trials = paper.own("prompt_tuning")
    lines = [] if trials is None else over_training(trials, "loss*", "*")
    drawn = training_picture(paper, "prompt_tuning_loss", lines, y="loss [nat]")
    return Item(
        "Appendix B.8 and Figure 9",
        "Prompt tuning",
        "A soft prompt is trained with the model frozen: loss over epochs, and the reverse.",
        (
            Side("", missing=paper.lost("prompt_tuning")),
            Side("", missing=["Nothing published to score again."]),
            Side(own.who, own.rule, [*drawn, *own.pictures], own.sources, own.missing),
        ),
        "No published number was found to compare with. Where the same order is not learnt, the "
        "reverse says nothing.",
        [table] if table else [],
    )


REMEDIES = {
    "both_doses": "Other facts told in both orders",
    "paraphrases": "Paraphrases of every fact",
    "question_answer": "Questions and answers instead of statements",
    "one_document": "One document a fact",
}


def remedies(paper: Paper) -> list[Item]:
    return [remedy(paper, experiment) for experiment in REMEDIES]


def remedy(paper: Paper, experiment: str) -> Item:
    title = REMEDIES[experiment]
    own, table = own_side(paper, experiment, rule=PREFIX)
    left, rows = Side("", missing=paper.lost("remedies")), []
    if experiment == "both_doses":
        found = paper.item("scaling")
        told = found[found.quantity == "exact_match.both"]
        left = Side(
            "GPT-3, twelve finetuned models: 30 of 90 facts told in both orders",
            PREFIX,
            (),
            sources(told),
            paper.lost("remedies"),
        )
        rows = [
            [
                f"{model}, facts told in both orders",
                over_runs(found, model, "exact_match.both"),
                "",
                "",
            ]
            for model in dict.fromkeys(told.model)
        ]
    why = SMALL + (
        "The published rate of facts told in both orders pools both orders of asking, and the "
        "published answers to the description-first half go on after the name, so that no "
        "completion can match them: at most half could be right."
        if experiment == "both_doses"
        else "No published number was found to compare with."
    )
    tables = [compare(rows, "Exact match of facts told in both orders")] if rows else []
    return Item(
        "Experiment 1, remedies",
        title,
        "Does telling it so bring the reverse?",
        (left, Side("", missing=["Nothing published to score again."]), own),
        why,
        [*tables, *([table] if table else [])],
    )
