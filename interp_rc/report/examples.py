"""A few queries and what the model answered: the first facts of each group, not chosen."""

from dataclasses import dataclass

import pandas as pd

from interp_rc.display.vocabulary import Words
from interp_rc.measures.base import ANSWERS
from interp_rc.records.nouns import CELLS, Roles
from interp_rc.records.runs import Run, evaluated

PER_CELL = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One query; `text` is what the model said after the prompt."""

    prompt: str
    target: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Examples:
    told: str
    asked: str
    examples: list[Example]


def examples(run: Run, roles: Roles) -> list[Examples]:
    """For each group and direction, the first facts, each in another template."""
    table, words = evaluated(run.table(ANSWERS)), Words(roles)
    asked = table.direction.where(table.direction.notna(), table.order)
    rows = dict(iter(table.groupby([table.group, asked])))
    return [
        Examples(words.told(key[0]), words.asked(key[1]), _first(rows[key]))
        for key in CELLS
        if key in rows
    ]


def _first(rows: pd.DataFrame) -> list[Example]:
    facts, templates = list(dict.fromkeys(rows.fact)), list(dict.fromkeys(rows.template))
    found = []
    for i, fact in enumerate(facts[:PER_CELL]):
        template = templates[i % len(templates)]
        row = rows[(rows.fact == fact) & (rows.template == template)]
        if not row.empty:
            one = row.iloc[0]
            found.append(Example(one.prompt, one.target.strip(), one.text.strip(), bool(one.match)))
    return found
