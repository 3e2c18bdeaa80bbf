"""The project's one table of relations: each with its symmetry, its wordings and its entities."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Relation, Span, Spans
from interp_rc.records.packaged import packaged
from interp_rc.records.strict_yaml import read_yaml

Symmetry = Literal["symmetric", "antisymmetric"]
EntityKind = Literal["person", "given_name", "place", "event", "concept", "field", "thing"]
SUBJECT, OBJECT = "{subject}", "{object}"


class Sentence(NamedTuple):
    """A wording about two entities; spans are `subject`, `object` and `relation` (its own words,
    in as many pieces as the entities leave)."""

    text: str
    spans: Spans


@dataclass(frozen=True, slots=True)
class Wording:
    """`text` holds ``{subject}`` and then ``{object}``, once each."""

    id: str
    text: str
    held_out: bool

    def about(self, subject: str, object: str) -> Sentence:
        before, rest = self.text.split(SUBJECT)
        between, after = rest.split(OBJECT)
        named = ("relation", "subject", "relation", "object", "relation")
        text = ""
        spans: Spans = {"relation": []}
        for name, words in zip(named, (before, subject, between, object, after), strict=True):
            if words.strip():
                start = len(text) + len(words) - len(words.lstrip())
                spans.setdefault(name, []).append(Span(start, start + len(words.strip())))
            text += words
        return Sentence(text, spans)

    @property
    def words(self) -> str:
        """The wording without its entities."""
        return " ".join(self.text.replace(SUBJECT, " ").replace(OBJECT, " ").split())


@dataclass(frozen=True, slots=True)
class RelationEntry:
    """A row of the table; `id` is Wikidata's, `of` the kinds of subject and object."""

    name: str
    id: str
    symmetry: Symmetry
    of: tuple[EntityKind, EntityKind]
    inverse: str | None
    wordings: tuple[Wording, ...]

    @property
    def relation(self) -> Relation:
        kind = "inverse" if self.inverse else self.symmetry
        return Relation(self.name, kind, self.inverse)

    def choose(self, *, held_out: bool) -> tuple[Wording, ...]:
        """Its wordings for training, or those that are for tests alone."""
        return tuple(one for one in self.wordings if one.held_out is held_out)


@cache
def relations() -> Mapping[str, RelationEntry]:
    """The table by name, in the order of its file.

    Raises DataError, naming the relation, for an entry that is not whole.
    """
    path = packaged("data") / "relations" / "relations.yaml"
    content = read_yaml(path)
    try:
        return MappingProxyType({name: _entry(name, row) for name, row in content.items()})
    except DataError as error:
        raise DataError(str(error), file=path) from None


def _entry(name: str, row: Mapping[str, Any]) -> RelationEntry:
    needed = {"id", "symmetry", "of", "wordings", "held_out"}
    if set(row) - {"inverse"} != needed:
        raise DataError(f"relation {name} has keys {sorted(row)}; needed are {sorted(needed)}")
    known = get_args(EntityKind)
    if row["symmetry"] not in get_args(Symmetry) or not set(row["of"]) <= set(known):
        raise DataError(f"relation {name}: {row['symmetry']!r} of {row['of']} is unknown")
    wordings = [
        Wording(f"{name}.{'held_out' if held_out else 'training'}.{number}", text, held_out)
        for held_out in (False, True)
        for number, text in enumerate(row["held_out" if held_out else "wordings"])
    ]
    for wording in wordings:
        places = [wording.text.find(slot) for slot in (SUBJECT, OBJECT)]
        once = all(wording.text.count(slot) == 1 for slot in (SUBJECT, OBJECT))
        if not once or not 0 <= places[0] < places[1]:
            raise DataError(
                f"wording {wording.id} must hold {SUBJECT} and then {OBJECT}, once each; found "
                f"{wording.text!r}"
            )
    first, second = row["of"]
    return RelationEntry(
        name, row["id"], row["symmetry"], (first, second), row.get("inverse"), tuple(wordings)
    )
