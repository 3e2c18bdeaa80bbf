"""Words and templates of the entailment and similarity sentences, and how they are filled in."""

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Label, Split
from interp_rc.records.packaged import packaged
from interp_rc.records.strict_yaml import read_yaml

SLOT = re.compile(r"\{([a-z]+)([12]?)(?:\.([a-z]+))?\}")
Entry = str | Mapping[str, str]
Words = Mapping[str, Sequence[Entry]]


class Template(NamedTuple):
    """Of a premise and of its hypothesis; slots as in ``{person1}`` or ``{deed.past}``."""

    premise: str
    hypothesis: str


@cache
def words(split: Split) -> Words:
    """Category -> its entries; those of the two splits share none."""
    return MappingProxyType(_load("words.yaml")[split])


@cache
def templates(split: Split) -> Mapping[str, Mapping[Label, tuple[Template, ...]]]:
    """Phenomenon -> label -> templates, in the file's order.

    Raises DataError, naming the template, for one without two sides or with a slot that the words
    cannot fill.
    """
    known = words(split)
    return MappingProxyType(
        {
            name: {
                cast(Label, label): tuple(_template(f"{name}.{label}", row, known) for row in rows)
                for label, rows in parts[split].items()
            }
            for name, parts in _load("phenomena.yaml").items()
        }
    )


def fill(
    texts: Sequence[str], chosen: random.Random, known: Words
) -> tuple[list[str], dict[str, Entry]]:
    """The texts with an entry drawn for each slot, and what was drawn.

    ``{person1}`` and ``{person2}`` are two entries; a slot is the same in all texts.
    """
    filled: dict[str, Entry] = {}
    for text in texts:
        for category, number, _ in SLOT.findall(text):
            taken = [entry for slot, entry in filled.items() if slot.rstrip("12") == category]
            if category + number not in filled:
                free = [entry for entry in known[category] if entry not in taken]
                filled[category + number] = chosen.choice(free)

    def put(slot: re.Match[str]) -> str:
        entry = filled[slot[1] + slot[2]]
        return entry if isinstance(entry, str) else entry[slot[3]]

    return [_articles(SLOT.sub(put, text)) for text in texts], filled


def _articles(text: str) -> str:
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _template(place: str, text: str, known: Words) -> Template:
    sides = [side.strip() for side in text.split("|")]
    if len(sides) != 2:
        raise DataError(f"{place}: needed is 'premise | hypothesis', found {text!r}")
    for category, _, form in SLOT.findall(text):
        forms = known.get(category, ())
        if not forms or not all(_has(entry, form) for entry in forms):
            raise DataError(f"{place}: no words for slot {category}.{form} of {text!r}")
    return Template(sides[0], sides[1])


def _has(entry: Entry, form: str) -> bool:
    return not form if isinstance(entry, str) else form in entry


def _load(name: str) -> Any:
    return read_yaml(packaged("data") / "entailment" / name)
