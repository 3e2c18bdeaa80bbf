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
    "per_subset": "per_group",
    **{f"exact_match_{seen}": f"exact_match.{seen}" for seen in get_args(Seen)},
}
"""Groups of facts were named after what their first facts were about, and where a template had been
seen was part of a word."""
_OLD = re.compile("|".join(NEW_OF_OLD))
PARTS = "(?:patching|patching_share|logit_lens|logit_attribution|attention|attention_cut"
PARTS += "|integrated_gradients)"
RULES = [
    # What a place was chosen among is said by the place.
    (r"^(patching\w*\.\w+\.chosen)\.(?:source|prompt_last)\.", r"\1."),
    (r"^(logit_attribution\.\w+\.chosen_\d\.z\.\d+)\.(\d+)$", r"\1.head_\2"),
    (r"^(logit_attribution\.\w+\.\w+\.\w+\.z\.\d+)\.(\d+)$", r"\1.head_\2"),
    (r"^(attention\.\w+\.head_chosen_\d\.\d+)\.(\d+)$", r"\1.head_\2"),
    (r"^((?:logit_attribution|attention)\.\w+)\.(?:head_)?(chosen)_(\d)", r"\1.\2.r\3"),
    (r"^((?:logit_attribution|attention)\.\w+)\.chosen\.(r\d)_elsewhere", r"\1.elsewhere.\2"),
    # A layer's number stood alone, or with a kind of parameters.
    (r"^((?:update_geometry|gradient_cosine)\..*\.(?:attention|mlp))_(\d+)", r"\1.layer_\2"),
    (r"^(transplant\.[a-z_.]+\.(?:attention|mlp))\.(\d+)", r"\1.layer_\2"),
    (rf"^({PARTS}\..*?)\.(\d+)(?=\.|$)", r"\1.layer_\2"),
    (r"^(movement\.\w+\.\w+(?:\.(?:forward|backward))?)\.(\d+)\.", r"\1.step_\2."),
    (r"^(premise|hypothesis)\.relation$", r"\1_relation"),
]
"""Patterns of names, and what they are now, one after another."""


def renamed(text: str) -> str:
    """A dotted name, or any other text, with the names of today."""
    text = _OLD.sub(lambda found: NEW_OF_OLD[found[0]], text)
    for pattern, now in RULES:
        text = re.sub(pattern, now, text)
    return text


NEW_COLUMNS = {
    "gradients": {"group": "component"},
    "update_geometry": {"group": "component"},
    "patching_map": {"where": "place"},
    "logit_lens": {"where": "place"},
    "integrated_gradients": {"where": "place"},
    "symmetry_where": {"span": "place"},
}
"""By table, columns that had another name."""


def rename_table(table: pd.DataFrame, file: str = "") -> pd.DataFrame:
    """A table of that file name, its columns and texts with the names of today."""
    columns = {c: renamed(str(c)).replace("subset", "group") for c in table}
    table = table.rename(columns=columns | NEW_COLUMNS.get(file, {}))
    if {"cell", "related_answer"} <= {*table}:  # a group and a direction in one word
        table[["group", "direction"]] = table.pop("cell").str.split(".", expand=True)
    return table.map(lambda value: renamed(value) if isinstance(value, str) else value)


def read_table(file: Path, **options: Any) -> pd.DataFrame:
    """Read a committed table, whatever names it was written with."""
    return rename_table(pd.read_csv(file, **options))
