"""What must hold of a set of facts as a whole, whichever files it came from."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from interp_rc.facts.factset import ANSWERED_BY, DESCRIBED_AS, FATHER, MOTHER, FactSet
from interp_rc.facts.validate_pairs import pair_fault
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Document, Fact, Query, direction_of

OF_PARENTS = {MOTHER.name, FATHER.name}
SHARING_OBJECTS = {ANSWERED_BY.name, *OF_PARENTS}
EXACT_SUBJECTS = {DESCRIBED_AS.name, ANSWERED_BY.name, *OF_PARENTS}


SLOT = re.compile(r"\{(name|description|subject|object)\}")
"""A template's place for an entity, which nothing has filled."""


class Place(NamedTuple):
    """Where an item was read."""

    file: Path
    line: int


# For each list of a fact set ("facts", "documents", …), the place of each of its items.
Places = Mapping[str, Sequence[Place]]


def validate(facts: FactSet, places: Places | None = None) -> None:
    """Raise DataError, naming file and line where `places` knows them, unless all of this holds.

    - ids are unique, and every id that is named exists;
    - no subject and no object of a relation belongs to two facts, in one group or in two, but
      two questions may have one answer, a parent several children, and a child two mothers or
      two fathers (lists of real people have them), as long as no such pair comes twice;
    - spans lie in their text, `subject` and `object` are there, and names are where spans say;
    - a query's group and direction are those of its fact, and its candidates hold its target;
    - no prompt has two answers, and no query that is held out is asked in a document's words;
    - pairs are of known relations, their spans cover two entities in each of their texts, and no
      entity is in pairs of both splits.
    """
    checks = _Checks(facts, places or {})
    checks.ids()
    checks.facts_are_distinct()
    checks.documents()
    checks.queries()
    checks.prompts_are_unambiguous()
    checks.held_out_is_held_out()
    checks.pairs()


class _Checks:
    """The checks of `validate`; each goes through one list and stops at the first fault."""

    def __init__(self, facts: FactSet, places: Places) -> None:
        self.set = facts
        self.places = places
        self.by_id = {fact.id: fact for fact in facts.facts}
        self.templates = {template.id for template in facts.templates}

    def place(self, part: str, index: int) -> Place | None:
        return self.places[part][index] if part in self.places else None

    def earlier(self, part: str, index: int) -> str:
        place = self.place(part, index)
        return f"{place.file.name}:{place.line}" if place else f"number {index + 1} of {part}"

    def fail(self, part: str, index: int, message: str) -> NoReturn:
        place = self.place(part, index)
        if place is None:
            raise DataError(f"number {index + 1} of {part}: {message}")
        raise DataError(message, file=place.file, line=place.line)

    def ids(self) -> None:
        for part in ("facts", "templates", "documents", "queries", "pairs"):
            first: dict[str, int] = {}
            for index, item in enumerate(getattr(self.set, part)):
                if first.setdefault(item.id, index) != index:
                    before = self.earlier(part, first[item.id])
                    self.fail(part, index, f"id {item.id!r} is that of {before}; make ids unique")

    def facts_are_distinct(self) -> None:
        relations = {relation.name for relation in self.set.relations}
        first: dict[tuple[str, ...], int] = {}
        for index, fact in enumerate(self.set.facts):
            if fact.relation not in relations:
                self.fail("facts", index, f"relation {fact.relation!r} is unknown; define it")
            for role, text in (("subject", fact.subject), ("object", fact.object)):
                if role == "object" and fact.relation in SHARING_OBJECTS:
                    continue
                whole = (fact.object,) if fact.relation in OF_PARENTS else ()
                before = first.setdefault((fact.relation, role, text, *whole), index)
                if before != index:
                    other = self.set.facts[before]
                    self.fail(
                        "facts",
                        index,
                        f"{role} {text!r} of a fact in {fact.group} is that of a fact in "
                        f"{other.group} ({self.earlier('facts', before)}); remove one of the two",
                    )

    def documents(self) -> None:
        for index, document in enumerate(self.set.documents):
            fact = self._fact_of("documents", index, document)
            self._spans("documents", index, document, document.text, fact)

    def queries(self) -> None:
        members: dict[int, set[str]] = {}  # candidate lists are shared: look at each one once
        for index, query in enumerate(self.set.queries):
            fact = self._fact_of("queries", index, query)
            self._spans("queries", index, query, query.prompt + query.target, fact)
            told = (fact.group, direction_of(fact.group, query.order))
            if (query.group, query.direction) != told:
                message = f"group and direction are {(query.group, query.direction)}, but the "
                self.fail("queries", index, f"{message}fact's are {told}; correct the query")
            if id(query.candidates) not in members:
                members[id(query.candidates)] = set(query.candidates)
            if query.target not in members[id(query.candidates)]:
                message = f"target {query.target!r} is not among the candidates; add it to them"
                self.fail("queries", index, message)

    def prompts_are_unambiguous(self) -> None:
        answers: dict[tuple[str, ...], tuple[str, int]] = {}
        for index, document in enumerate(self.set.documents):
            if not self._names_one_fact(document):
                continue
            key: tuple[str, ...] = ("documents", document.order or "both", document.prompt)
            self._one_answer("documents", index, key, document.fact, answers)
        for index, query in enumerate(self.set.queries):
            key = ("queries", query.group, query.order, query.prompt)
            self._one_answer("queries", index, key, query.target, answers)

    def _names_one_fact(self, document: Document) -> bool:
        """Whether its prompt says which fact it tells; a shared answer does not."""
        shared = self.by_id[document.fact].relation in SHARING_OBJECTS
        return bool(document.prompt) and not (shared and document.order == "backward")

    def held_out_is_held_out(self) -> None:
        told: dict[str, int] = {}
        for index, document in enumerate(self.set.documents):
            told.setdefault(document.prompt, index)
        for index, query in enumerate(self.set.queries):
            if query.seen != "training" and query.prompt in told:
                self.fail(
                    "queries",
                    index,
                    f"prompt {query.prompt!r} is held out but also the prompt of the training "
                    f"document {self.earlier('documents', told[query.prompt])}; remove one of them",
                )

    def pairs(self) -> None:
        fault = pair_fault(self.set.pairs, {relation.name for relation in self.set.relations})
        if fault:
            before = "" if fault.other is None else f" ({self.earlier('pairs', fault.other)})"
            self.fail("pairs", fault.at, f"{fault.found}{before}; {fault.remedy}")

    def _fact_of(self, part: str, index: int, item: Document | Query) -> Fact:
        if item.template not in self.templates:
            self.fail(part, index, f"template {item.template!r} is unknown; add it or correct it")
        if item.fact not in self.by_id:
            self.fail(part, index, f"fact {item.fact!r} is unknown; add it or correct the id")
        return self.by_id[item.fact]

    def _spans(self, part: str, index: int, item: Document | Query, text: str, fact: Fact) -> None:
        if slot := SLOT.search(text):
            self.fail(part, index, f"the slot {slot[0]} is left in the text; fill it")
        for entity in ("subject", "object"):
            if not item.spans.get(entity):
                self.fail(part, index, f"no span of the {entity}; say where it stands in the text")
        for name, spans in item.spans.items():
            for span in spans:
                if not 0 <= span.start < span.end <= len(text) or text[slice(*span)].isspace():
                    self.fail(
                        part,
                        index,
                        f"span {list(span)} of the {name} covers nothing in a text of {len(text)} "
                        "characters; correct it",
                    )
            about = self._about(part, index, name, fact)
            if name.startswith("subject") and about.relation in EXACT_SUBJECTS:
                for span in spans:  # descriptions are inflected, names are not
                    if text[slice(*span)] != about.subject:
                        found = f"span {list(span)} of the {name} covers {text[slice(*span)]!r}"
                        self.fail(part, index, f"{found}, not {about.subject!r}; correct it")

    def _about(self, part: str, index: int, span: str, fact: Fact) -> Fact:
        """The fact whose entity a span covers: another one if the span's name has its id."""
        entity, _, other = span.partition(":")
        if other and (entity not in ("subject", "object") or other not in self.by_id):
            message = f"span {span!r} is of no known fact; name it subject:<id> or object:<id>"
            self.fail(part, index, message)
        return self.by_id[other] if other else fact

    def _one_answer(
        self,
        part: str,
        index: int,
        key: tuple[str, ...],
        answer: str,
        answers: dict[tuple[str, ...], tuple[str, int]],
    ) -> None:
        first, before = answers.setdefault(key, (answer, index))
        if first != answer:
            where = self.earlier(part, before)
            message = f"prompt {key[-1]!r} has answer {answer!r} here and {first!r} at {where}"
            self.fail(part, index, f"{message}; keep one of them")
