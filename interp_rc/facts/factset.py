"""A set of facts with everything that is told and asked about them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from interp_rc.facts.people import Person
from interp_rc.facts.templates import Template
from interp_rc.records.errors import DataError
from interp_rc.records.limits import MOST_DOCUMENTS
from interp_rc.records.nouns import (
    NAMED,
    ORDERS,
    TOLD_IN,
    Document,
    Fact,
    Group,
    Order,
    Pair,
    Query,
    Relation,
    Roles,
    Seen,
    Span,
    direction_of,
)

SCHEMA = 2
DESCRIBED_AS = Relation("described_as", "inverse", "description_of")
ANSWERED_BY = Relation("answered_by", "inverse", "answer_to")
MOTHER = Relation("mother", "inverse", "child")
FATHER = Relation("father", "inverse", "child")

DrawnFrom = Literal["people", "questions", "couples"]
# Between two tellings in one document. Byte-level tokenizers read it as tokens of its own (ours as
# two, as many as the end and the beginning of a text), so that the sentences keep theirs.
PARAGRAPH = "\n\n"


@dataclass(frozen=True)
class FactSet:
    """What a run learns from and is asked. `seed` is None for facts that were not drawn here.

    `drawn_from` says which grammar gives other entities of the same kind, for a base corpus, and
    `roles` what a page calls the subjects and the objects.
    `reserved` entities are in no fact, but no base corpus may tell of them either: so that sets
    which tell more or fewer facts can have the same base corpus. `pairs` are what encoders are
    asked and trained on.
    """

    facts: list[Fact]
    relations: list[Relation]
    templates: list[Template]
    documents: list[Document]
    queries: list[Query]
    seed: int | None = None
    schema: int = field(default=SCHEMA)
    reserved: list[str] = field(default_factory=list)
    drawn_from: DrawnFrom = "people"
    roles: Roles = NAMED
    pairs: list[Pair] = field(default_factory=list)

    def entities(self) -> set[str]:
        """Every name and description (or question and answer) that a base corpus must not tell."""
        told = {text for fact in self.facts for text in (fact.subject, fact.object)}
        return told.union(self.reserved)


Told = tuple[Fact, Person]


def facts_about(
    people: Sequence[Person], group: Group, prefix: str, relation: Relation = DESCRIBED_AS
) -> list[Told]:
    """One fact a person; ids count from 0 within the group."""
    return [
        (Fact(f"{prefix}.{i}", person.name, relation.name, person.noun, group), person)
        for i, person in enumerate(people)
    ]


def document_about(told: Told, template: Template, id: str) -> Document:
    fact, person = told
    filled = template.about(person)
    return Document(id, fact.id, template.order, template.id, filled.text, filled.spans)


def joint_document_about(told: Told, first: Template, second: Template, id: str) -> Document:
    """The fact in one template and, in a new paragraph, in another; `template` is the first."""
    fact, person = told
    one, two = first.about(person), second.about(person)
    start = len(one.text) + len(PARAGRAPH)
    spans = {
        name: [one.spans[name][0], Span(*(start + end for end in two.spans[name][0]))]
        for name in one.spans
    }
    text = one.text + PARAGRAPH + two.text
    return Document(id, fact.id, None, first.id, text, spans)


def check_count(count: int, what: str = "documents") -> None:
    """Raise DataError, before any is made, for more documents (or pairs) than memory holds."""
    if count > MOST_DOCUMENTS:
        raise DataError(
            f"{count:,} {what} were asked for, and {MOST_DOCUMENTS:,} are the most; ask for fewer"
        )


def documents_about(
    told: Sequence[Told],
    templates: Sequence[Template],
    *,
    exposures: int | None = None,
    together: bool = False,
) -> list[Document]:
    """Each fact in its order (or in both), `exposures` times an order.

    The training templates of an order are gone through again and again; None is once. `together`
    puts the two orders of a fact that is told in both into one document each time, now the one
    first and now the other. Raises DataError for more than `MOST_DOCUMENTS`.
    """
    check_count(len(told) * max(exposures or 0, len(templates)))
    rounds = {order: list(_rounds(templates, order, exposures)) for order in ORDERS}
    documents = []
    for pair in told:
        fact = pair[0]
        if together and TOLD_IN[fact.group] is None:
            for number, turn in enumerate(zip(*rounds.values(), strict=True)):
                (first, id), (second, _) = turn[:: -1 if number % 2 else 1]
                documents.append(joint_document_about(pair, first, second, f"{fact.id}/{id}"))
            continue
        documents += [
            document_about(pair, template, f"{fact.id}/{id}")
            for order in ORDERS
            if TOLD_IN[fact.group] in (None, order)
            for template, id in rounds[order]
        ]
    return documents


def _rounds(
    templates: Sequence[Template], order: Order, exposures: int | None
) -> Iterator[tuple[Template, str]]:
    """Each telling's template, and what tells it from the others of the same fact."""
    pool = [t for t in templates if t.role == "training" and t.order == order]
    for number in range(len(pool) if exposures is None else exposures):
        again, index = divmod(number, len(pool))
        yield pool[index], f"{pool[index].id}/{again}" if again else pool[index].id


def seen_where(template: Template) -> Seen:
    """Where the model met the template: finetuning data, base corpus, or nowhere."""
    if template.role == "training":
        return "training"
    return "elsewhere" if template.in_base else "nowhere"


def queries_about(told: Sequence[Told], templates: Sequence[Template]) -> list[Query]:
    """Each fact asked in both orders in each held-out template.

    The candidates are the targets of all facts of the group in the same template.
    """
    by_group: dict[Group, list[Told]] = defaultdict(list)
    for pair in told:
        by_group[pair[0].group].append(pair)
    held_out = [template for template in templates if template.role == "held_out"]
    queries = []
    for group, pairs in by_group.items():
        for order in ORDERS:
            for template in (t for t in held_out if t.order == order):
                filled = [template.about(person) for _, person in pairs]
                candidates = [one.target for one in filled]
                queries += [
                    Query(
                        id=f"{fact.id}/{template.id}",
                        fact=fact.id,
                        group=group,
                        order=order,
                        direction=direction_of(group, order),
                        template=template.id,
                        seen=seen_where(template),
                        prompt=one.prompt,
                        target=one.target,
                        candidates=candidates,
                        spans=one.spans,
                    )
                    for (fact, _), one in zip(pairs, filled, strict=True)
                ]
    return queries
