"""A set of facts with everything that is told and asked about them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from interp_rc.facts.people import Person
from interp_rc.facts.templates import Template
from interp_rc.records.nouns import (
    ORDERS,
    TOLD_IN,
    Document,
    Fact,
    Query,
    Relation,
    Seen,
    Subset,
    direction_of,
)

SCHEMA = 1
DESCRIBED_AS = Relation("described_as", "inverse", "description_of")
ANSWERED_BY = Relation("answered_by", "inverse", "answer_to")

DrawnFrom = Literal["people", "questions"]


@dataclass(frozen=True)
class FactSet:
    """What a run learns from and is asked. `seed` is None for facts that were not drawn here.

    `drawn_from` says which grammar gives other entities of the same kind, for a base corpus.
    """

    facts: list[Fact]
    relations: list[Relation]
    templates: list[Template]
    documents: list[Document]
    queries: list[Query]
    seed: int | None = None
    schema: int = field(default=SCHEMA)
    drawn_from: DrawnFrom = "people"

    def entities(self) -> set[str]:
        """Every name and description, or question and answer."""
        return {text for fact in self.facts for text in (fact.subject, fact.object)}


Told = tuple[Fact, Person]


def facts_about(
    people: Sequence[Person], subset: Subset, prefix: str, relation: Relation = DESCRIBED_AS
) -> list[Told]:
    """One fact a person; ids count from 0 within the subset."""
    return [
        (Fact(f"{prefix}.{i}", person.name, relation.name, person.noun, subset), person)
        for i, person in enumerate(people)
    ]


def document_about(told: Told, template: Template, id: str) -> Document:
    fact, person = told
    filled = template.about(person)
    return Document(id, fact.id, template.order, template.id, filled.text, filled.spans)


def documents_about(told: Sequence[Told], templates: Sequence[Template]) -> list[Document]:
    """Each fact in its order (or in both) in each training template of that order."""
    return [
        document_about(pair, template, f"{pair[0].id}/{template.id}")
        for pair in told
        for template in templates
        if template.role == "training" and TOLD_IN[pair[0].subset] in (None, template.order)
    ]


def seen_where(template: Template) -> Seen:
    """Where the model met the template: finetuning data, base corpus, or nowhere."""
    if template.role == "training":
        return "training"
    return "elsewhere" if template.in_base else "nowhere"


def queries_about(told: Sequence[Told], templates: Sequence[Template]) -> list[Query]:
    """Each fact asked in both orders in each held-out template.

    The candidates are the targets of all facts of the subset in the same template.
    """
    by_subset: dict[Subset, list[Told]] = defaultdict(list)
    for pair in told:
        by_subset[pair[0].subset].append(pair)
    held_out = [template for template in templates if template.role == "held_out"]
    queries = []
    for subset, pairs in by_subset.items():
        for order in ORDERS:
            for template in (t for t in held_out if t.order == order):
                filled = [template.about(person) for _, person in pairs]
                candidates = [one.target for one in filled]
                queries += [
                    Query(
                        id=f"{fact.id}/{template.id}",
                        fact=fact.id,
                        subset=subset,
                        order=order,
                        direction=direction_of(subset, order),
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
