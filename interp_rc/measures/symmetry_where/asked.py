"""Which pairs of a fact set are read: for the probes, and in couples for patching."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interp_rc.facts.relations import Symmetry, relations
from interp_rc.models.encoder import Encoder, Together
from interp_rc.models.encoder_states import Part, Tokens, tokens
from interp_rc.records.nouns import EntityForm, Pair, Split

SIDES = ("premise", "hypothesis")
PLACES = ("relation", "subject", "object", "first", "whole")
"""Where a probe reads, in both texts: the words of the relation, the first and the second entity;
the first token; all tokens."""


NAMED_SPANS = {f"{side}.{what}" for side in SIDES for what in PLACES[:3]}


def class_of(relation: str) -> Symmetry:
    return relations()[relation].symmetry


def swapped_pairs(pairs: Sequence[Pair], split: Split) -> list[Pair]:
    """Those of the two-label form about known relations, in wordings for training, whose spans
    are told; with names where there are any, and otherwise with ids."""
    mine = [
        pair
        for pair in pairs
        if pair.label_set == "two_labels"
        and pair.form == "swapped"
        and pair.split == split
        and not pair.held_out
        and pair.relation in relations()
        and set(pair.spans) >= NAMED_SPANS
    ]
    named: EntityForm = "names" if any(pair.entities == "names" for pair in mine) else "ids"
    return [pair for pair in mine if pair.entities == named]


def evenly(pairs: Sequence[Pair], per_relation: int) -> dict[str, list[Pair]]:
    """The first `per_relation` pairs of each relation that has as many, in the table's order."""
    found = {
        name: [pair for pair in pairs if pair.relation == name][:per_relation]
        for name in relations()
    }
    return {name: mine for name, mine in found.items() if len(mine) == per_relation}


def together(pair: Pair) -> Together:
    """As the head reads them: the premise first."""
    return pair.premise, pair.hypothesis


def parts_of(pair: Pair, what: str, sides: Sequence[str] = SIDES) -> list[Part]:
    """The characters of the relation, subject or object, in one or both of the texts."""
    return [
        Part(SIDES.index(side), span)
        for side in sides
        for span in pair.spans.get(f"{side}.{what}", ())
    ]


def probed_places(pair: Pair, read: Tokens) -> dict[str, list[int]]:
    """Positions by place."""
    found = {what: read.at(parts_of(pair, what)) for what in PLACES[:3]}
    return found | {"first": [0], "whole": read.every}


PATCHED = (
    *("premise_relation", "hypothesis_relation", "relation"),
    *("subject", "object", "special", "everything"),
)
"""What is exchanged: the words of the relation in one text or both, the first or the second entity
of both, the tokenizer's own tokens; and everything, which must bring the whole difference."""


def patched_places(pair: Pair, read: Tokens) -> dict[str, list[int]]:
    """Positions by place; a tokenizer without tokens of its own leaves `special` out."""
    found = {f"{side}_relation": read.at(parts_of(pair, "relation", [side])) for side in SIDES}
    found |= {what: read.at(parts_of(pair, what)) for what in PLACES[:3]}
    found |= {"special": read.special, "everything": read.every}
    return {name: found[name] for name in PATCHED if found[name]}


@dataclass(frozen=True, slots=True)
class Couple:
    """A pair of a symmetric relation, and the same entities in an antisymmetric one. Their tokens
    differ in the words of the relation alone, which are as many in both."""

    clean: Pair
    relation: str
    corrupted: Together
    places: dict[str, list[int]]

    @property
    def id(self) -> str:
        return f"{self.clean.id}>{self.relation}"


def couples(encoder: Encoder, pairs: dict[str, list[Pair]]) -> list[Couple]:
    """All that can be made of the pairs' relations by their first wordings, for relations between
    entities of one kind; couples of another number of tokens are left out."""
    table = relations()
    found = []
    for name, mine in pairs.items():
        if table[name].symmetry != "symmetric":
            continue
        for other in pairs:
            if table[other].symmetry == "antisymmetric" and table[other].of == table[name].of:
                found += [one for pair in mine for one in _coupled(encoder, pair, other)]
    return found


def _coupled(encoder: Encoder, pair: Pair, other: str) -> list[Couple]:
    wording = relations()[other].choose(held_out=False)[0]
    texts: list[str] = []
    spans: dict[str, Any] = {}
    for side in SIDES:
        text = getattr(pair, side)
        named = [text[slice(*pair.spans[f"{side}.{what}"][0])] for what in ("subject", "object")]
        sentence = wording.about(*named)
        texts.append(sentence.text)
        spans |= {f"{side}.{what}": found for what, found in sentence.spans.items()}
    corrupted = (texts[0], texts[1])
    clean_read, corrupted_read = tokens(encoder, [together(pair), corrupted])
    if len(clean_read.ids) != len(corrupted_read.ids):
        return []
    places = patched_places(pair, clean_read)
    elsewhere = set(clean_read.every) - set(places["relation"])
    if any(clean_read.ids[n] != corrupted_read.ids[n] for n in elsewhere):
        return []
    return [Couple(pair, other, corrupted, places)]
