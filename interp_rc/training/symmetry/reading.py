"""Pairs as an encoder's unit vectors: once without gradients, or batch by batch with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from interp_rc.models.encoder import Encoder, Text
from interp_rc.records.nouns import Pair
from interp_rc.training.symmetry.methods import Vectors


def texts_of(pairs: Sequence[Pair], together: bool) -> list[Text]:
    """All hypotheses and then all premises, or each premise with its hypothesis."""
    if together:
        return [(pair.premise, pair.hypothesis) for pair in pairs]
    return [*(pair.hypothesis for pair in pairs), *(pair.premise for pair in pairs)]


def vectors_of(encoder: Encoder, pairs: Sequence[Pair], together: bool) -> Vectors:
    """In float32, without gradients or dropout, on the CPU."""
    found = encoder.embedded(texts_of(pairs, together))
    return _in_parts(found, together)


def _in_parts(vectors: Float[Tensor, "text width"], together: bool) -> Vectors:
    parts = normalize(vectors, dim=-1).chunk(1 if together else 2)
    return torch.stack(parts, dim=1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The texts of some pairs, tokenised once; a batch is cut to its own longest text."""

    encoder: Encoder
    features: dict[str, Any]
    pairs: int
    together: bool

    @classmethod
    def of(cls, encoder: Encoder, pairs: Sequence[Pair], together: bool) -> "Tokens":
        return cls(encoder, encoder.features(texts_of(pairs, together)), len(pairs), together)

    def vectors(self, batch: Sequence[int]) -> Vectors:
        """Of the pairs at these places, with gradients, in the mode the model is in; in bfloat16
        where the encoder is trained so, given in float32."""
        every = len(self.features["attention_mask"])
        rows = [first + at for first in range(0, every, self.pairs) for at in batch]
        mask = self.features["attention_mask"][rows]
        used = mask.any(0)
        cut = {
            name: value[rows][:, used] if isinstance(value, Tensor) else value
            for name, value in self.features.items()
        }
        with torch.autocast(mask.device.type, torch.bfloat16, enabled=self.encoder.bf16):
            found: Tensor = self.encoder.model(cut)["sentence_embedding"]
        return _in_parts(found.float(), self.together)
