"""Couples of invented entities in a symmetric, an antisymmetric and an inverted relation.

Each fact is told in one order ("A is a sibling of B") and asked in both. In reverse, a symmetric
relation is asked in its own words and one with an inverse in the inverse's: A is right. An
antisymmetric one is asked in its own words, too: there A would be a false reversal.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Literal

from interp_rc.facts.factset import FactSet, Told, documents_about, facts_about, queries_about
from interp_rc.facts.people import Person
from interp_rc.facts.relations import OBJECT, SUBJECT, RelationEntry, Wording, relations
from interp_rc.facts.templates import Template
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import COUPLES, FALSE_IN_REVERSE, Group, Query, Seen
from interp_rc.records.seeds import generator

HeldOutSeen = Literal["elsewhere", "nowhere"]
# Every name is a start and an end, so that a tokenizer trained on some of them knows all parts.
STARTS = [first + vowel for first in "BDFGKLMNPRSTVZ" for vowel in "aeiou"]
ENDS = (
    "dak den dor gan gol kem kin lam lek lin lor mak men mir mos nak nel nim nor pan pel ras ren "
    "rik ros sal sel sin tak tel tin tor van vek vil von zan zel zim zon"
).split()
REVERSED = ".reversed"


def couples(seed: int, count: int, avoid: Collection[str] = ()) -> list[Person]:
    """Couples of names, `name` with `noun`, all names different and none of them in `avoid`.

    Raises DataError when there are not so many names.
    """
    taken = set(avoid)
    names = [name for parts in product(STARTS, ENDS) if (name := "".join(parts)) not in taken]
    if 2 * count > len(names):
        raise DataError(
            f"{2 * count} names were asked for, and {len(names)} are left; ask for fewer facts, "
            "or for a smaller world"
        )
    drawn = iter(generator(seed, "couples").sample(names, 2 * count))
    return [Person(one, other, other, other) for one, other in zip(drawn, drawn, strict=True)]


def relation_facts(
    seed: int,
    *,
    symmetric: str = "sibling",
    inverse: str = "led_to",
    antisymmetric: str = "child",
    per_relation: int = 60,
    both: int = 20,
    exposures: int = 30,
    held_out_seen: HeldOutSeen = "elsewhere",
) -> FactSet:
    """`per_relation` facts of each relation told in one order, `exposures` times, going through
    the training wordings; and `both` more of the first two, told in both orders: the controls.

    Facts are asked in the held-out wordings, in reverse also in the first training wording.
    Entities of one group are its candidates.
    Raises DataError for a relation that is not what it is named for.
    """
    of: dict[Group, str] = {
        "symmetric": symmetric,
        "inverse": inverse,
        "antisymmetric": antisymmetric,
        "symmetric_both": symmetric,
        "inverse_both": inverse,
    }
    counts = {group: both if group.endswith("_both") else per_relation for group in of}
    drawn = iter(couples(seed, sum(counts.values())))
    templates: dict[str, Template] = {}
    found = FactSet([], [], [], [], [], seed=seed, drawn_from="couples", roles=COUPLES)
    for group, name in of.items():
        entry = entry_for(group, name)
        wordings = group_templates(group, entry, held_out_seen)
        templates |= {template.id: template for template in wordings}
        told = facts_about(
            list(islice(drawn, counts[group])), group, group, relation=entry.relation
        )
        found.facts.extend(fact for fact, _ in told)
        found.documents.extend(documents_about(told, wordings, exposures=exposures))
        found.queries.extend(_asked(told, wordings, held_out_seen))
        if entry.relation not in found.relations:
            found.relations.append(entry.relation)
    found.templates.extend(templates.values())
    return found


def entry_for(group: Group, name: str) -> RelationEntry:
    """The relation's row; DataError if facts of this group cannot be of it."""
    kind = group.removesuffix("_both")
    known = [
        one.name
        for one in relations().values()
        if (one.inverse is not None if kind == "inverse" else one.symmetry == kind)
    ]
    if name not in known:
        raise DataError(f"facts.{kind} is {name!r}; relations of that kind are {', '.join(known)}")
    return relations()[name]


def group_templates(
    group: Group, entry: RelationEntry, held_out_seen: HeldOutSeen
) -> list[Template]:
    """The relation's wordings as told, and the words that its reverse is asked in.

    A base corpus may tell of others in all of them, but never what is not so.
    """
    false = group in FALSE_IN_REVERSE
    back = relations()[entry.inverse] if group.startswith("inverse") and entry.inverse else entry
    forward = [_template(one, held_out_seen) for one in entry.wordings]
    backward = [
        replace(one, order="backward", id=one.id + REVERSED, text=_exchanged(one.text))
        for one in (_template(wording, held_out_seen) for wording in back.wordings)
    ]
    if false:
        backward = [replace(one, in_base=False) for one in backward]
    return [*forward, *backward]


def _template(wording: Wording, held_out_seen: HeldOutSeen) -> Template:
    text = wording.text.replace(SUBJECT, "{name}").replace(OBJECT, "{description}") + "."
    role: Literal["held_out", "training"] = "held_out" if wording.held_out else "training"
    in_base = not wording.held_out or held_out_seen == "elsewhere"
    return Template(wording.id, "forward", text, "noun", role, in_base)


def _exchanged(text: str) -> str:
    """The object first, and then the subject."""
    before, between, after = re.split(r"\{name\}|\{description\}", text)
    return f"{before}{{description}}{between}{{name}}{after}"


def _asked(
    told: Sequence[Told], templates: Sequence[Template], held_out_seen: HeldOutSeen
) -> Iterator[Query]:
    """In the held-out wordings, in reverse first in the first wording of all, which the fact was
    told in the other way round."""
    own = next(t for t in templates if t.order == "backward" and t.role == "training")
    for query in queries_about(told, [replace(own, role="held_out"), *templates]):
        seen: Seen = "training" if query.template == own.id else held_out_seen
        yield replace(query, seen=seen)
