"""Premises and hypotheses whose label follows from their form: what an encoder knows of entailment
besides symmetry, made here, with no download."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from interp_rc.facts.entailment_words import fill, templates, words
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Label, Split
from interp_rc.records.seeds import generator

LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")
TRIES = 1000
"""Draws for one new pair before a template counts as used up."""


@dataclass(frozen=True, slots=True)
class EntailmentPair:
    """`phenomenon`: what the label turns on; for pairs of others, what their source calls their
    kind."""

    premise: str
    hypothesis: str
    label: Label
    phenomenon: str


def phenomena(label: Label) -> tuple[str, ...]:
    """Those that have the label; `unrelated` is neutral only."""
    return tuple(name for name, parts in templates("train").items() if label in parts)


def entailment_pairs(seed: int, count: int, *, split: Split) -> list[EntailmentPair]:
    """`count` different pairs: labels in turn, a label's phenomena in turn, a cell's templates in
    turn. The first pairs of a longer request are the same.

    No template, and no pair of content words, is in both splits. Raises DataError when the
    templates give no more pairs.
    """
    return list(islice(_endless(seed, split), count))


def _endless(seed: int, split: Split) -> Iterator[EntailmentPair]:
    chosen, known = generator(seed, "entailment", split), words(split)
    told = templates(split)
    turns = {label: cycle(phenomena(label)) for label in LABELS}
    cells = {
        (label, name): cycle(told[name][label]) for label in LABELS for name in phenomena(label)
    }
    seen: set[tuple[str, str]] = set()
    for label in cycle(LABELS):
        name = next(turns[label])
        template = next(cells[label, name])
        for _ in range(TRIES):
            (premise, hypothesis), _filled = fill(template, chosen, known)
            if (premise, hypothesis) not in seen:
                break
        else:
            raise DataError(
                f"the {split} words give only {len(seen)} entailment pairs (no further {name} "
                f"pair for {label}); ask for fewer"
            )
        seen.add((premise, hypothesis))
        yield EntailmentPair(premise, hypothesis, label, name)
