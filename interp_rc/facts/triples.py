"""Facts as subject, relation and object, and the contrasts that they make."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interp_rc.facts.contrasts import partners
from interp_rc.facts.items import read_items
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Span

SLOT = re.compile(r"\{\w*\}|\[[XY]\]")
"""Where templates of others hold an entity: {}, {subject}, [X]."""


@dataclass(frozen=True, slots=True)
class Triple:
    """Texts such as ("Paris", "is the capital of", "France"); spaces around them do not count.

    Raises DataError for a text with a slot that nothing fills.
    """

    subject: str
    relation: str
    object: str
    line: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("subject", "relation", "object"):
            text = getattr(self, name).strip()
            if slot := SLOT.search(text):
                raise DataError(
                    f"{name} {text!r:.60} holds the slot {slot[0]}, which would stay in the "
                    "prompt; write the words that stand between subject and object"
                )
            object.__setattr__(self, name, text)

    @property
    def id(self) -> str:
        return f"{self.subject}|{self.relation}|{self.object}"

    @property
    def prompt(self) -> str:
        return f"{self.subject} {self.relation}"


def read_triples(path: Path | str) -> list[Triple]:
    """The facts of a file of JSON lines, each `{"subject": …, "relation": …, "object": …}`.

    Raises DataError, naming file and line, for faulty lines and facts that come twice.
    """
    triples: dict[Triple, int] = {}
    for triple, place in read_items(Path(path), Triple, ("line",), _with_line):
        if triple in triples:
            message = f"the same fact as in line {triples[triple]}; remove one"
            raise DataError(message, file=place.file, line=place.line)
        triples[triple] = place.line
    if not triples:
        raise DataError("holds no facts; write one JSON object a line", file=path)
    return list(triples)


def _with_line(row: dict[str, Any], number: int) -> dict[str, Any]:
    return row | {"line": number}


def contrasts_of(triples: Sequence[Triple], seed: int = 0) -> list[Contrast]:
    """Each fact against another one of its relation, asked by its subject.

    The other fact is the next in a random circle that tells it apart: with another subject, and
    with neither subject having the other's object too. Clean is `subject relation`, corrupted the
    other subject's, the target ` object`, the foil the other object; spans are `A` (the subject),
    `B` (the object) and `source`. The fact is the subject.

    Raises DataError for a relation in which nothing tells a fact apart, with its line.
    """
    return [_contrast(one, other) for one, other in _paired(triples, seed)]


def _paired(triples: Sequence[Triple], seed: int) -> list[tuple[Triple, Triple]]:
    by_relation: dict[str, dict[str, Triple]] = {}
    for triple in triples:
        by_relation.setdefault(triple.relation, {})[triple.id] = triple
    following = {relation: partners(list(facts), seed) for relation, facts in by_relation.items()}
    there = {(t.subject, t.relation, t.object) for t in triples}
    pairs = []
    for triple in triples:
        facts, after = by_relation[triple.relation], following[triple.relation]
        other: Triple | None = None
        at = triple.id
        for _ in facts:
            at = after.get(at, triple.id)
            if _apart(triple, facts[at], there):
                other = facts[at]
                break
        if other is None:
            where = "" if triple.line is None else f" (line {triple.line})"
            raise DataError(
                f"fact {triple.id!r}{where}: no other fact of {triple.relation!r} has another "
                "subject and another object to corrupt it with; add one, or remove this one"
            )
        pairs.append((triple, other))
    return pairs


def _apart(one: Triple, other: Triple, there: set[tuple[str, str, str]]) -> bool:
    """Whether neither subject has the other's object: so the foil is false, and so is the target
    of the corrupted prompt."""
    return (one.subject, one.relation, other.object) not in there and (
        other.subject,
        one.relation,
        one.object,
    ) not in there


def _contrast(one: Triple, other: Triple) -> Contrast:
    source = [Span(0, len(one.subject)), Span(0, len(other.subject))]
    answers = [len(one.prompt) + 1, len(other.prompt) + 1]  # a space leads the target
    return Contrast(
        id=one.id,
        fact=one.subject,
        order="forward",
        clean=one.prompt,
        corrupted=other.prompt,
        target=f" {one.object}",
        foil=f" {other.object}",
        spans={
            "source": source,
            "A": source,
            "B": [Span(begins, begins + len(one.object)) for begins in answers],
        },
        line=one.line,
    )
