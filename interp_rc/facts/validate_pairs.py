"""What must hold of pairs of sentences, whichever file they came from."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from interp_rc.records.nouns import LabelSet, Pair, PairForm, Split

TEXTS = ("premise", "hypothesis")
SLOTS = ("subject", "object")
FORMS: dict[LabelSet, tuple[PairForm, ...]] = {
    "two_labels": ("swapped",),
    "three_labels": ("swapped", "unswapped", "wrong_entity"),
}


class PairFault(NamedTuple):
    """What is wrong with the pair at place `at`, and the earlier one that it conflicts with."""

    at: int
    found: str
    remedy: str
    other: int | None = None


def pair_fault(pairs: Sequence[Pair], known: Collection[str]) -> PairFault | None:
    """The first fault, if there is one. `known`: the names of the set's relations."""
    first: dict[str, tuple[Split, int]] = {}
    for index, pair in enumerate(pairs):
        if pair.relation not in known:
            return PairFault(index, f"relation {pair.relation!r} is unknown", "define it")
        found = _span_fault(pair) or _form_fault(pair)
        if found:
            return PairFault(index, found, "correct it")
        for entity in map(bare, entities_of(pair)):
            split, before = first.setdefault(entity, (pair.split, index))
            if split != pair.split:
                found = f"entity {entity!r} is in a {split} and in a {pair.split} pair"
                return PairFault(index, found, "remove one of the two", before)
    return None


def entities_of(pair: Pair) -> list[str]:
    """Subject and object of the premise, then of the hypothesis, as they stand there."""
    return [
        getattr(pair, text)[slice(*pair.spans[f"{text}.{slot}"][0])]
        for text in TEXTS
        for slot in SLOTS
    ]


def bare(entity: str) -> str:
    """Without the full stops that published texts lose at their ends."""
    return entity.rstrip(".")


def _span_fault(pair: Pair) -> str | None:
    for text in TEXTS:
        for slot in SLOTS:
            if not pair.spans.get(f"{text}.{slot}"):
                return f"no span {text}.{slot}"
    for name, spans in pair.spans.items():
        text, _, slot = name.partition(".")
        if text not in TEXTS or slot not in (*SLOTS, "relation"):
            return f"span {name!r} is of nothing known"
        whole = getattr(pair, text)
        for span in spans:
            covered = whole[slice(*span)]
            if not 0 <= span.start < span.end <= len(whole) or covered != covered.strip():
                return f"span {list(span)} of {name} covers {covered!r} in {len(whole)} characters"
    return None


def _form_fault(pair: Pair) -> str | None:
    """Whether the entities stand as the form says."""
    if pair.form not in FORMS[pair.label_set]:
        return f"a {pair.form} pair is not of {pair.label_set}"
    subject, object, *there = map(bare, entities_of(pair))
    right = {
        "swapped": there == [object, subject],
        "unswapped": there == [subject, object],
        "wrong_entity": len({subject, object} & set(there)) == 1,
    }
    if not right[pair.form]:
        return f"not {pair.form}: {subject!r} and {object!r} become {there[0]!r} and {there[1]!r}"
    return None
