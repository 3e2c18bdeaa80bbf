"""What the names in frozen plans, committed tables and earlier runs are called now."""

import re
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from interp_rc.records.nouns import Seen

NEW_OF_OLD = {
    "name_to_description": "trained_forward",
    "description_to_name": "trained_backward",
    "question_to_answer": "trained_forward",
    "answer_to_question": "trained_backward",
    **{f"exact_match_{seen}": f"exact_match.{seen}" for seen in get_args(Seen)},
}
"""Groups of facts were named after what their first facts were about, and where a template had been
seen was part of a word."""
_OLD = re.compile("|".join(NEW_OF_OLD))
NUMBERED = ((re.compile(r"^(transplant\.[a-z_.]+\.(?:attention|mlp))\.(\d+)"), r"\1.layer_\2"),)
"""Numbers in names, which say today what they number."""


def renamed(text: str) -> str:
    """A dotted name, or any other text, with the names of today."""
    text = _OLD.sub(lambda found: NEW_OF_OLD[found[0]], text)
    for old, new in NUMBERED:
        text = old.sub(new, text)
    return text


def rename_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns and texts have the names of today."""
    table = table.rename(columns=lambda name: renamed(str(name)))
    if {"cell", "related_answer"} <= {*table}:  # a group and a direction in one word
        table[["subset", "direction"]] = table.pop("cell").str.split(".", expand=True)
    return table.map(lambda value: renamed(value) if isinstance(value, str) else value)


def read_table(file: Path, **options: Any) -> pd.DataFrame:
    """Read a committed table, whatever names it was written with."""
    return rename_table(pd.read_csv(file, **options))
