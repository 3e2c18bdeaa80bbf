"""Where the wording of the queries was met before: held out, but from what?"""

from collections.abc import Mapping
from typing import Any

from interp_rc.display.section import Table
from interp_rc.measures.base import ANSWERS
from interp_rc.records.runs import Run, evaluated

MEANING = {
    "training": "in the finetuning documents themselves",
    "elsewhere": "in the base corpus only, about other people, never in finetuning",
    "nowhere": "neither in finetuning nor in the base corpus made for this run",
}


def seen(run: Run) -> Table:
    """How many templates and queries of this run were seen where."""
    table = evaluated(run.table(ANSWERS))
    rows = [
        [
            word,
            MEANING[word],
            str(table[table.seen == word].template.nunique()),
            f"{(table.seen == word).sum():,}",
        ]
        for word in MEANING
        if (table.seen == word).any()
    ]
    return Table(
        "Where the templates of this run’s queries were seen",
        ["seen", "the template occurred", "templates", "queries"],
        rows,
        ["templates", "queries"],
    )


def seen_note(config: Mapping[str, Any]) -> str:
    """Who told the facts; what cannot be known about a model that was pretrained by others."""
    if (config.get("model") or {}).get("kind") == "embedded":
        trained = config.get("training") is not None
        return "The facts themselves were told in finetuning documents only." if trained else ""
    return (
        "The base model was not pretrained in this project, so what its corpus held is unknown: "
        "“elsewhere” and “nowhere” speak of corpora that are made here only."
    )
