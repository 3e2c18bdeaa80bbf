"""Pairs whose hypothesis is about others than its premise: what follows is nothing, whatever the
relation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from interp_rc.records.nouns import Label, Pair, Span, Spans

Entity = Literal["subject", "object"]


def wrong_entity(pairs: Sequence[Pair]) -> list[Pair]:
    """One entity of the hypothesis replaced, now the subject and now the object of a relation's.

    The new one comes from the hypothesis of another of the pairs: the next one of the same relation
    (else of any) that is about nobody in this pair. Labels are kept; pairs that cannot be altered
    (their spans are unknown, or there is no other) are left out.
    """
    return _altered(pairs, one=True)


def shuffled(pairs: Sequence[Pair]) -> list[Pair]:
    """Both entities of the hypothesis replaced by those of another pair's, as in `wrong_entity`."""
    return _altered(pairs, one=False)


def neutral(pairs: Sequence[Pair]) -> list[Pair]:
    """`wrong_entity`, with the label that is right then."""
    label: Label = "neutral"
    return [replace(pair, label=label) for pair in wrong_entity(pairs)]


def _altered(pairs: Sequence[Pair], *, one: bool) -> list[Pair]:
    usable = [pair for pair in pairs if all(map(pair.spans.get, ENTITIES))]
    found: list[Pair] = []
    times: Counter[tuple[str, str]] = Counter()
    for place, pair in enumerate(usable):
        later = usable[place + 1 :] + usable[:place]
        nearest = sorted(later, key=lambda other: other.relation != pair.relation)
        here = entities(pair)
        donor = next((other for other in nearest if not here & entities(other)), None)
        if donor is None:
            continue
        chosen: list[Entity] = ["subject", "object"]
        if one:
            # By relation: what is replaced must not tell the label, which alternates in a set.
            kind = (pair.relation, pair.label)
            chosen = [chosen[times[kind] % 2]]
            times[kind] += 1
        new = {which: entity(donor, f"hypothesis.{which}") for which in chosen}
        found.append(
            with_hypothesis_about(pair, new, f"{pair.id}/{'wrong' if one else 'shuffled'}")
        )
    return found


ENTITIES = ["premise.subject", "premise.object", "hypothesis.subject", "hypothesis.object"]


def entities(pair: Pair) -> set[str]:
    """Everybody that the pair's texts are about."""
    return {entity(pair, name) for name in ENTITIES}


def entity(pair: Pair, name: str) -> str:
    """The text of a span, e.g. `hypothesis.subject`."""
    text = pair.premise if name.startswith("premise.") else pair.hypothesis
    start, end = pair.spans[name][0]
    return text[start:end]


def with_hypothesis_about(pair: Pair, new: dict[Entity, str], id: str) -> Pair:
    """The same with other entities in the hypothesis; spans go along."""
    text, spans = pair.hypothesis, dict(pair.spans)
    for which, name in new.items():
        place = spans[f"hypothesis.{which}"][0]
        text = text[: place.start] + name + text[place.end :]
        spans = _moved(spans, place, len(name) - (place.end - place.start))
    return replace(pair, id=id, hypothesis=text, form="wrong_entity", spans=spans)


def _moved(spans: Spans, place: Span, more: int) -> Spans:
    """Every end in the hypothesis that lies behind the beginning of what has become longer."""

    def moved(span: Span) -> Span:
        start = span.start + more if span.start > place.start else span.start
        return Span(start, span.end + more if span.end > place.start else span.end)

    return {
        name: [moved(Span(*span)) for span in found] if name.startswith("hypothesis.") else found
        for name, found in spans.items()
    }
