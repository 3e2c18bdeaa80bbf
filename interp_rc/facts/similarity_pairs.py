"""Two sentences that share a known number of content words: similarity that has nothing to do with
relations or entailment."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from interp_rc.facts.entailment_words import Entry, fill, words
from interp_rc.records.nouns import Split
from interp_rc.records.seeds import generator

SLOTS = ("person", "handle", "thing", "place")
GRADES = range(len(SLOTS) + 1)
WORDINGS = (
    "The {person} {handle.past} the {thing} in the {place.whole}.",
    "In the {place.whole}, a {thing} was {handle.participle} by the {person}.",
    "It was the {person} who {handle.past} a {thing} at the {place.whole}.",
)


@dataclass(frozen=True, slots=True)
class SimilarityPair:
    """`grade`: how many of their four content words the two share, in two wordings; 4 is a
    paraphrase and 0 about something else."""

    first: str
    second: str
    grade: int


def similarity_pairs(seed: int, count: int, *, split: Split = "test") -> list[SimilarityPair]:
    """Grades in turn; which words are shared is drawn. The first of a longer request are the
    same."""
    return list(islice(_endless(seed, split), count))


def _endless(seed: int, split: Split) -> Iterator[SimilarityPair]:
    chosen, known = generator(seed, "similarity", split), words(split)
    for grade in cycle(GRADES):
        one, other = chosen.sample(WORDINGS, 2)
        (first,), drawn = fill([one], chosen, known)
        shared = set(chosen.sample(SLOTS, grade))
        others: dict[str, list[Entry]] = {
            slot: [entry for entry in known[slot] if (entry == drawn[slot]) == (slot in shared)]
            for slot in SLOTS
        }
        (second,), _ = fill([other], chosen, others)
        yield SimilarityPair(first, second, grade)
