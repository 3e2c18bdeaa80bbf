"""Where descriptions stand in published rows, and the templates that the rows were made from.

The same description is put as a noun ("the founder of X"), a past tense ("founded X") or a
gerund ("founding X"), and some rows reword it freely.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from interp_rc.facts.people import Form
from interp_rc.facts.published_names import find_words
from interp_rc.facts.published_rows import Row
from interp_rc.facts.templates import Role
from interp_rc.records.nouns import Group, Order, Span, Spans

ARTICLE = re.compile(r"(the|an?) ", re.IGNORECASE)
LAST_ARTICLE = re.compile(r"(?<!\S)(the|an?)$", re.IGNORECASE)
GERUND = re.compile(r"(\w+ly )?\w+ing\b")
WORDS = re.compile(r"\s*\S+")
PUNCTUATION = " .,?!;:'"


class Column(NamedTuple):
    """The rows of one template: order, role and place among the rows of a fact."""

    order: Order
    role: Role
    number: int


class FactKey(NamedTuple):
    """The place of a fact in its group."""

    group: Group
    number: int

    @property
    def id(self) -> str:
        return f"{self.group}.{self.number}"


class Cell(NamedTuple):
    """A row, and which fact it tells or asks in which template."""

    fact: FactKey
    column: Column
    row: Row


@dataclass(frozen=True, slots=True)
class Phrases:
    """How the completions of one fact put its description."""

    noun: str
    repeated: list[str]  # longest first


@dataclass(frozen=True, slots=True)
class Wording:
    """What the rows say of each fact and template."""

    nouns: dict[FactKey, str]
    spans: dict[Row, Spans]
    templates: dict[Column, tuple[str, Form]]


def recover(cells: Sequence[Cell], names: Mapping[FactKey, str]) -> Wording:
    """Find every description, then the wording that most rows of a template have around it."""
    columns: dict[Column, list[Cell]] = defaultdict(list)
    for cell in cells:
        columns[cell.column].append(cell)
    rests = {row: rest for column in columns.values() for row, rest in _rests(column)}

    said: dict[FactKey, list[str]] = defaultdict(list)
    for cell in cells:
        if cell.row.order == "forward":
            said[cell.fact].append(rests[cell.row])
    phrases = {fact: _phrases(completions) for fact, completions in said.items()}

    spans = {
        cell.row: _spans(cell.row, names[cell.fact], phrases[cell.fact], rests[cell.row])
        for cell in cells
    }
    return Wording(
        nouns={fact: found.noun for fact, found in phrases.items()},
        spans=spans,
        templates={
            column: Counter(wording(c.row.text, spans[c.row]) for c in told).most_common(1)[0][0]
            for column, told in columns.items()
        },
    )


def wording(text: str, spans: Spans) -> tuple[str, Form]:
    """A text with the slots of a template in place of its entities, and the description's form."""
    subject, description = spans["subject"][0], spans["object"][0]
    form = _form(text[description.start : description.end])
    for span, slot in sorted([(subject, "{name}"), (description, "{description}")], reverse=True):
        text = text[: span.start] + slot + text[span.end :]
    return text, form


def _form(phrase: str) -> Form:
    if ARTICLE.match(phrase):
        return "noun"
    return "gerund" if GERUND.match(phrase) else "past"


def _rests(column: Sequence[Cell]) -> list[tuple[Row, str]]:
    """What each row has, where its description is, beyond the words that all facts share there.

    An article before it belongs to the description, and so does all that begins a completion.
    """
    texts = [cell.row.description_side for cell in column]
    end = _shared_end(texts)
    start = _shared_start(texts) if column[0].row.order == "backward" else 0
    start = len(LAST_ARTICLE.sub("", texts[0][:start]))
    return [
        (cell.row, _trim(text[start : len(text) - end]) or _trim(text))
        for cell, text in zip(column, texts, strict=True)
    ]


def _trim(text: str) -> str:
    return text.strip().rstrip(PUNCTUATION)


def _shared_start(texts: Sequence[str]) -> int:
    """The length of the whole words that all texts begin with."""
    columns = zip(*map(WORDS.findall, texts), strict=False)
    return sum(len(words[0]) for words in takewhile(lambda w: len(set(w)) == 1, columns))


def _shared_end(texts: Sequence[str]) -> int:
    """The length of the whole words that all texts end with."""
    columns = zip(*(WORDS.findall(text)[::-1] for text in texts), strict=False)
    return sum(len(words[0]) for words in takewhile(lambda w: len(set(w)) == 1, columns))


def _phrases(completions: Iterable[str]) -> Phrases:
    """The most frequent noun phrase among a fact's completions, and what they say repeatedly.

    The most frequent phrase stands for the noun if a fact told in few templates has none.
    """
    counts = Counter(completions).most_common()
    nouns = [phrase for phrase, _ in counts if ARTICLE.match(phrase)]
    repeated = [phrase for phrase, count in counts if count > 1]
    return Phrases([*nouns, counts[0][0]][0], sorted(repeated, key=len, reverse=True))


def _spans(row: Row, name: str, phrases: Phrases, rest: str) -> Spans:
    """Where the name and the description stand in a row.

    The description is the noun phrase where the row has it (so that " being the founder" keeps
    "being" outside), else the longest phrase that the fact repeats, else `rest`.
    """
    second = len(row.prompt)
    description = _find([phrases.noun, *phrases.repeated, rest], row.description_side)
    subject = _find([name], row.name_side)
    if row.order == "backward":
        return {"subject": [_later(subject, second)], "object": [description]}
    return {"subject": [subject], "object": [_later(description, second)]}


def _find(phrases: Sequence[str], text: str) -> Span:
    """Where the first phrase that the text has stands, perhaps as the beginning of a sentence."""
    for phrase in phrases:
        for words in (phrase, phrase[:1].upper() + phrase[1:]):
            start = find_words(text, words)
            if start >= 0:
                return Span(start, start + len(words))
    return Span(0, 0)


def _later(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
