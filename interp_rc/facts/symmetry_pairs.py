"""Pairs of a premise and a hypothesis that ask whether a relation holds the other way round.

After the symmetry-aware benchmark of Wikidata relations, whose two-label form (each text with its
entities exchanged, labelled by the relation alone) is one setting; the others are its controls.
"""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import count as numbers
from itertools import cycle
from typing import NamedTuple

from interp_rc.facts.named_entities import Entities
from interp_rc.facts.relations import RelationEntry, Sentence, Symmetry, Wording, relations
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import (
    EntityForm,
    Label,
    LabelSet,
    Pair,
    PairForm,
    Spans,
    Split,
)
from interp_rc.records.seeds import generator

SWAPPED_LABEL: dict[Symmetry, Label] = {
    "symmetric": "entailment",
    "antisymmetric": "contradiction",
}
# Nobody has two, so that "another is the father of Y" would contradict "X is the father of Y".
ONE_SUBJECT_AN_OBJECT = {"mother", "father"}


class Kind(NamedTuple):
    """What a pair is like before entities and wordings are drawn."""

    relation: RelationEntry
    form: PairForm
    label: Label


def symmetry_pairs(
    seed: int,
    count: int,
    *,
    label_set: LabelSet,
    entities: EntityForm,
    split: Split,
    held_out: bool = False,
    about: Collection[str] | None = None,
) -> Iterator[Pair]:
    """`count` pairs, one at a time; the first ones of a longer request are the same.

    With two labels all pairs are swapped and in one wording: the relation's first or, `held_out`,
    one of its held-out ones; symmetric and antisymmetric relations come by turns. With three, a
    third has each label; entailments are swapped symmetric and unswapped by turns, contradictions
    swapped antisymmetric, and in neutral ones one entity is another, in either place and in either
    order; the premise is in one training wording and the hypothesis in another or, `held_out`, in
    a held-out one. Within each of these, relations come in turn.

    `about` names the relations to use (None: all); what these cannot have is left out, and the
    rest stays balanced. No entity comes twice. Raises DataError for an unknown relation, for none
    at all, and once the names are used up (after some millions).
    """
    chosen = _chosen(about)
    draw = generator(seed, "symmetry_pairs", label_set, entities, split, str(held_out))
    drawn = Entities(draw, entities, split)
    kinds = two_label_kinds(chosen) if label_set == "two_labels" else three_label_kinds(chosen)
    prefix = ".".join([label_set, entities, split, *(["held_out"] if held_out else [])])
    for number, kind in zip(range(count), kinds, strict=False):
        first, second = wordings(kind.relation, label_set, held_out, draw)
        of = kind.relation.of
        subject, object = drawn.another(of[0]), drawn.another(of[1])
        there = (subject, object)
        if kind.form == "swapped":
            there = (object, subject)
        elif kind.form == "wrong_entity":
            there = one_other(kind.relation.name, there, partial(drawn.another_at, of), draw)
        premise, hypothesis = first.about(subject, object), second.about(*there)
        yield Pair(
            id=f"{prefix}.{number}",
            premise=premise.text,
            hypothesis=hypothesis.text,
            relation=kind.relation.name,
            label=kind.label,
            form=kind.form,
            entities=entities,
            label_set=label_set,
            split=split,
            held_out=held_out,
            spans=spans_of(premise, hypothesis),
        )


def _chosen(about: Collection[str] | None) -> list[RelationEntry]:
    table = relations()
    if about is None:
        return list(table.values())
    if isinstance(about, str):
        raise DataError(f"about is the text {about!r}; give a list of relations")
    unknown = sorted(set(about) - set(table))
    if unknown or not about:
        found = f"relation {unknown[0]!r} is unknown" if unknown else "about names no relation"
        raise DataError(f"{found}; give some of {', '.join(table)}")
    return [entry for name, entry in table.items() if name in about]


def of_class(entries: Sequence[RelationEntry], symmetry: Symmetry) -> list[RelationEntry]:
    return [entry for entry in entries if entry.symmetry == symmetry]


def two_label_kinds(entries: Sequence[RelationEntry]) -> Iterator[Kind]:
    """Swapped pairs, endless: the classes by turns, and the relations of a class in turn."""
    return _by_turns(
        [_in_turn(of_class(entries, symmetry), "swapped", label)
         for symmetry, label in SWAPPED_LABEL.items()]
    )  # fmt: skip


def three_label_kinds(entries: Sequence[RelationEntry]) -> Iterator[Kind]:
    """All forms, endless: the labels by turns, then forms, then classes, then relations."""
    symmetric, antisymmetric = (of_class(entries, symmetry) for symmetry in SWAPPED_LABEL)

    def both(form: PairForm, label: Label) -> Iterator[Kind]:
        return _by_turns([_in_turn(one, form, label) for one in (symmetric, antisymmetric)])

    entailed = _by_turns(
        [_in_turn(symmetric, "swapped", "entailment"), both("unswapped", "entailment")]
    )
    contradicted = _in_turn(antisymmetric, "swapped", "contradiction")
    return _by_turns([entailed, contradicted, both("wrong_entity", "neutral")])


def _in_turn(entries: Sequence[RelationEntry], form: PairForm, label: Label) -> Iterator[Kind]:
    return (Kind(entry, form, label) for entry in cycle(entries))


def _by_turns(streams: Sequence[Iterator[Kind]]) -> Iterator[Kind]:
    """One of each stream, again and again; a stream that has nothing is left out."""
    going = list(streams)
    for place in numbers():
        kind = None
        while going and kind is None:
            kind = next(going[place % len(going)], None)
            if kind is None:
                del going[place % len(going)]
        if kind is None:
            return
        yield kind


def wordings(
    entry: RelationEntry, label_set: LabelSet, held_out: bool, draw: random.Random
) -> tuple[Wording, Wording]:
    """Of the premise and of the hypothesis."""
    training = entry.choose(held_out=False)
    if label_set == "two_labels":
        one = draw.choice(entry.choose(held_out=True)) if held_out else training[0]
        return one, one
    if held_out:
        return draw.choice(training), draw.choice(entry.choose(held_out=True))
    first, second = draw.sample(training, 2)
    return first, second


def one_other(
    relation: str, told: tuple[str, str], another: Callable[[int], str], draw: random.Random
) -> tuple[str, str]:
    """One of the premise's entities and another, in either order, so that order tells nothing.

    Of a relation in which an object has one subject, the object does not stay in its place.
    `another` gives one that can stand first (0) or second (1).
    """
    ways = [(0, 0), (0, 1), (1, 0)]  # which one stays, and where it then stands
    if relation not in ONE_SUBJECT_AN_OBJECT:
        ways.append((1, 1))
    kept, place = draw.choice(ways)
    other = another(1 - place)
    return (told[kept], other) if place == 0 else (other, told[kept])


def spans_of(premise: Sentence, hypothesis: Sentence) -> Spans:
    """Those of both, named by the text that they are counted in."""
    both = {"premise": premise, "hypothesis": hypothesis}
    return {
        f"{text}.{name}": spans
        for text, sentence in both.items()
        for name, spans in sentence.spans.items()
    }
