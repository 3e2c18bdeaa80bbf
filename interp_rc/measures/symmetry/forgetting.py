"""What an encoder forgets by being retrained: entailment of other kinds, and similarity.

Published forgetting is the loss of an encoder whose old classification head stays. So a head is
fitted on the vectors that the encoder gave *before*, and reads those that it gives *after*
(`kept`); one that is fitted anew (`refitted`) says what is no longer there at all. Both are done
with vectors of the two sentences and with the one vector of both read together.
"""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from interp_rc.facts.entailment_pairs import EntailmentPair, entailment_pairs
from interp_rc.facts.entailment_tables import EntailmentTable
from interp_rc.facts.similarity_pairs import SimilarityPair, similarity_pairs
from interp_rc.measures.symmetry.entailment_head import (
    READINGS,
    Features,
    Head,
    Reading,
    features,
    fit_head,
)
from interp_rc.models.encoder import Encoder
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.seeds import generator

PerItem = Float[np.ndarray, " item"]


class _Read(NamedTuple):
    """What an encoder makes of all items."""

    train: dict[Reading, Features]
    test: dict[Reading, Features]
    cosines: PerItem


class _Before(NamedTuple):
    heads: dict[Reading, Head]
    read: _Read
    width: int


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The head is fitted on `train` and measured on `test`.

    Several encoders are compared with one: what that one gave is kept, by its weights, and computed
    once. `readings` are what heads are given; each costs time.

    Raises DataError for labels in `test` that are not in `train`, or a single one there.
    """

    train: tuple[EntailmentPair, ...]
    test: tuple[EntailmentPair, ...]
    similarity: tuple[SimilarityPair, ...]
    readings: tuple[Reading, ...] = READINGS
    _before: dict[str, _Before] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {pair.label for pair in self.train}
        if len(known) < 2 or not {pair.label for pair in self.test} <= known or not self.test:
            raise DataError(
                f"a head for entailment needs two labels or more, and all that it is tested on; "
                f"{len(self.train)} training pairs have {sorted(known)}, {len(self.test)} test "
                f"pairs {sorted({pair.label for pair in self.test})}"
            )

    @classmethod
    def generated(
        cls, seed: int, *, train: int = 330, test: int = 495, similarity: int = 100
    ) -> "Forgetting":
        """Of sentences made here, `train` and `test` without a content word in common."""
        return cls(
            tuple(entailment_pairs(seed, train, split="train")),
            tuple(entailment_pairs(seed, test, split="test")),
            tuple(similarity_pairs(seed, similarity)),
        )

    @classmethod
    def of_table(
        cls, table: EntailmentTable, seed: int, *, train: int = 330, similarity: int = 100
    ) -> "Forgetting":
        """Of the pairs of others: about `train` for the head and the rest to test it, drawn by
        premise, so that none is in both."""
        by_premise: dict[str, list[EntailmentPair]] = {}
        for pair in table.pairs:
            by_premise.setdefault(pair.premise, []).append(pair)
        order = list(by_premise)
        generator(seed, "entailment split").shuffle(order)
        pairs = [pair for premise in order for pair in by_premise[premise]]
        while 0 < train < len(pairs) and pairs[train].premise == pairs[train - 1].premise:
            train += 1
        made = similarity_pairs(seed, similarity)
        return cls(tuple(pairs[:train]), tuple(pairs[train:]), tuple(made))

    def digest(self) -> str:
        """What tells these sentences from others."""
        every = repr((self.train, self.test, self.similarity, self.readings))
        return hashlib.sha256(every.encode()).hexdigest()[:16]

    def measure(self, before: Encoder, after: Encoder) -> dict[str, PerItem]:
        """Values per item, of `after` compared with `before`, which is unchanged:

        - `sentences.before`, `together.before`: 1 where the head read the label rightly, else 0;
        - `….kept`: the same head on the vectors of `after`; `….refitted`: a head of its own;
        - `similarity.before`, `similarity.after`: cosine of a pair's vectors; `similarity.grade`.

        Raises ModelError for encoders of different widths.
        """
        if before.width != after.width:
            raise ModelError(
                f"{after.source} gives vectors of {after.width} numbers and {before.source} of "
                f"{before.width}; compare an encoder with what it was retrained from"
            )
        old = self._remembered(before)
        new = self._read(after)
        found: dict[str, PerItem] = {}
        for reading, head in old.heads.items():
            own = fit_head(new.train[reading], self.train)
            found[f"{reading}.before"] = head.right(old.read.test[reading], self.test)
            found[f"{reading}.kept"] = head.right(new.test[reading], self.test)
            found[f"{reading}.refitted"] = own.right(new.test[reading], self.test)
        found["similarity.before"] = old.read.cosines
        found["similarity.after"] = new.cosines
        found["similarity.grade"] = np.array([pair.grade for pair in self.similarity], float)
        return found

    def _remembered(self, before: Encoder) -> _Before:
        key = _weights(before)
        if key not in self._before:
            read = self._read(before)
            heads = {
                reading: fit_head(read.train[reading], self.train) for reading in self.readings
            }
            self._before[key] = _Before(heads, read, before.width)
        return self._before[key]

    def _read(self, encoder: Encoder) -> _Read:
        one, other = (
            encoder.embedded(texts).numpy()
            for texts in (
                [pair.first for pair in self.similarity],
                [pair.second for pair in self.similarity],
            )
        )
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        return _Read(
            {reading: features(encoder, self.train, reading) for reading in self.readings},
            {reading: features(encoder, self.test, reading) for reading in self.readings},
            (one * other).sum(axis=1) / np.maximum(norms, 1e-12),
        )


def _weights(encoder: Encoder) -> str:
    """A checksum of all weights, so that an encoder that was changed is computed again."""
    found = hashlib.blake2b(digest_size=16)
    for name, value in encoder.model.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
