"""The synthetic world that an embedded base model is pretrained on: other entities of the kind.

Most are told in both orders, some in one only: a second test of the curse, in pretraining.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from interp_rc.facts.couples_world import couples_world
from interp_rc.facts.entities import KINDS
from interp_rc.facts.factset import (
    FactSet,
    Told,
    check_count,
    document_about,
    facts_about,
    queries_about,
)
from interp_rc.facts.in_context import in_context_documents
from interp_rc.facts.symmetry_texts import symmetry_texts
from interp_rc.facts.templates import Template, packaged_templates
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, TOLD_IN, Document, Group, Query
from interp_rc.records.seeds import derive_seed, generator


def world(
    facts: FactSet,
    seed: int,
    *,
    both: int = 200,
    trained_forward: int = 40,
    trained_backward: int = 40,
    exposures: int = 80,
    in_context: int = 0,
    symmetry: int = 0,
    queries_per_order: int = 3,
) -> FactSet:
    """Documents about people (or questions) that `facts` does not know, and queries on them.

    `exposures` counts the documents of one person in one order. Templates are those that `facts`
    marks `in_base`, and our own where it has none at all. A query's `seen` is `training` if its
    person was told in its template, and `elsewhere` otherwise. `in_context` documents more
    state and ask facts of yet other people, none of them listed among the facts, and `symmetry`
    documents say of yet other couples whether their relation holds in reverse.
    About couples, `couples_world` tells the rest; those of one order are all told first-to-second.
    """
    seed = derive_seed(seed, "world")
    people = both + trained_forward + trained_backward
    check_count(people * exposures + in_context + symmetry)
    if facts.drawn_from == "couples":
        told_once = trained_forward + trained_backward
        around = couples_world(facts, seed, both=both, one_order=told_once, exposures=exposures)
        known = facts.entities() | around.entities()
        around.documents.extend(_further(in_context, symmetry, seed, known))
        return around
    kind = KINDS[facts.drawn_from]
    counts: dict[Group, int] = {
        kind.told_in[None]: both,
        kind.told_in["forward"]: trained_forward,
        kind.told_in["backward"]: trained_backward,
    }
    persons = iter(kind.draw(seed, sum(counts.values()), facts.entities()))
    told = [
        pair
        for group, count in counts.items()
        for pair in facts_about(
            [next(persons) for _ in range(count)], group, f"world.{group}", kind.relation
        )
    ]
    ours = facts.templates or packaged_templates()
    templates = [template for template in ours if template.in_base]
    for order in ORDERS:
        found = sum(template.order == order for template in templates)
        if found < queries_per_order:
            raise DataError(
                f"{found} templates in {order} order are marked in_base, and a base corpus needs "
                f"{queries_per_order}; mark more of them in templates.jsonl"
            )
    documents = _corpus(told, templates, seed, exposures)
    known = facts.entities() | {text for _, one in told for text in (one.name, one.noun)}
    return FactSet(
        facts=[fact for fact, _ in told],
        relations=[kind.relation],
        templates=templates,
        documents=[*documents, *_further(in_context, symmetry, seed, known)],
        queries=_queries(told, templates, documents, seed, queries_per_order),
        seed=seed,
        drawn_from=facts.drawn_from,
        roles=facts.roles,
    )


def _further(
    in_context: int, symmetry: int, seed: int, avoid: Collection[str]
) -> Iterator[Document]:
    """Documents that are about nothing that is asked; no entity of `avoid` is in them.

    The benchmark's names are of another make than ours: a coined surname, or three syllables.
    """
    yield from in_context_documents(in_context, seed, avoid)
    yield from symmetry_texts(seed, symmetry)


def _corpus(
    told: Sequence[Told], templates: Sequence[Template], seed: int, exposures: int
) -> list[Document]:
    draw = generator(seed, "corpus")
    documents = []
    for order in ORDERS:
        pool = [template for template in templates if template.order == order]
        for pair in told:
            if TOLD_IN[pair[0].group] not in (None, order):
                continue
            # Whole rounds through the pool, so that a person's templates are as even as can be.
            rounds = [
                t for _ in range(0, exposures, len(pool)) for t in draw.sample(pool, len(pool))
            ]
            documents += [
                document_about(pair, template, f"{pair[0].id}/{order}/{index}")
                for index, template in enumerate(rounds[:exposures])
            ]
    draw.shuffle(documents)
    return documents


def _queries(
    told: Sequence[Told],
    templates: Sequence[Template],
    documents: Sequence[Document],
    seed: int,
    per_order: int,
) -> list[Query]:
    met = {(document.fact, document.template) for document in documents}
    draw = generator(seed, "queries")
    asked = [
        replace(template, role="held_out")
        for order in ORDERS
        for template in draw.sample([t for t in templates if t.order == order], per_order)
    ]
    facts_with = Counter(fact.object for fact, _ in told)
    ambiguous = {fact.id for fact, _ in told if facts_with[fact.object] > 1}  # asked backward
    return [
        replace(
            query,
            seen="training" if (query.fact, query.template) in met else "elsewhere",
            candidates=[query.target],  # the base facts are not asked as a choice
        )
        for query in queries_about(told, asked)
        if query.order == "forward" or query.fact not in ambiguous
    ]
