"""The base corpus of runs about couples: other couples of the same relations.

It says of each relation what holds in reverse: symmetric couples are told in both orders, those
with an inverse in both by the two relations' words, and antisymmetric ones in one order only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from interp_rc.facts.couples import couples, group_templates
from interp_rc.facts.factset import FactSet, Told, document_about, facts_about, queries_about
from interp_rc.facts.relations import relations
from interp_rc.facts.templates import Template
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, TOLD_IN, Document, Group, Query, Seen
from interp_rc.records.seeds import derive_seed, generator

TOLD_BOTH: dict[Group, Group] = {"symmetric": "symmetric_both", "inverse": "inverse_both"}
ASKED = 2  # templates an order


def couples_world(
    facts: FactSet, seed: int, *, both: int, one_order: int, exposures: int
) -> FactSet:
    """Documents about couples that `facts` does not know, and queries on them.

    Of each relation there are `both` couples, told in both orders where that is true, and
    `one_order` more that are told in the first alone, each `exposures` times an order.
    Raises DataError if the facts are of no couples, or if names are used up.
    """
    seed = derive_seed(seed, "couples_world")
    relation_of = {fact.group: fact.relation for fact in facts.facts}
    once = [group for group in relation_of if TOLD_IN[group] is not None]
    if not once:
        raise DataError("the facts hold no couples told in one order; use facts of kind relations")
    count = len(once) * (both + one_order)
    drawn = iter(couples(seed, count, facts.entities()))
    found = FactSet(
        [],
        facts.relations,
        facts.templates,
        [],
        [],
        seed=seed,
        drawn_from="couples",
        roles=facts.roles,
    )
    for group in once:
        entry = relations()[relation_of[group]]
        known = {one.id for one in group_templates(group, entry, "elsewhere")}
        pool = [template for template in facts.templates if template.id in known]
        for told_as, many in ((TOLD_BOTH.get(group, group), both), (group, one_order)):
            told = facts_about(
                list(islice(drawn, many)),
                told_as,
                f"world.{told_as}.{len(found.facts)}",
                relation=entry.relation,
            )
            found.facts.extend(fact for fact, _ in told)
            found.documents.extend(_documents(told, pool, seed, exposures))
            found.queries.extend(_queries(told, pool))
    generator(seed, "corpus").shuffle(found.documents)
    return found


def _documents(
    told: Sequence[Told], pool: Sequence[Template], seed: int, exposures: int
) -> Iterator[Document]:
    """Going through the templates in another order for every couple."""
    for pair in told:
        fact = pair[0]
        for order in ORDERS:
            if TOLD_IN[fact.group] not in (None, order):
                continue
            chosen = [one for one in pool if one.order == order and one.in_base]
            generator(seed, fact.id, order).shuffle(chosen)
            for index in range(exposures):
                template = chosen[index % len(chosen)]
                yield document_about(pair, template, f"{fact.id}/{order}/{index}")


def _queries(told: Sequence[Told], pool: Sequence[Template]) -> Iterator[Query]:
    """In the first wordings, in both orders: also where the answer would be false."""
    asked = [
        replace(template, role="held_out")
        for order in ORDERS
        for template in [one for one in pool if one.order == order][:ASKED]
    ]
    for query in queries_about(told, asked):
        was_told = TOLD_IN[query.group] in (None, query.order)
        seen: Seen = "training" if was_told else "elsewhere"
        yield replace(query, seen=seen, candidates=[query.target])
