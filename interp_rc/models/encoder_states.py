"""An encoder's states at every layer, found by the characters that they stand for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.encoder import Encoder, Text
from interp_rc.models.evaluating import evaluating
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.nouns import Span


class Part(NamedTuple):
    """Some characters of one of the texts that are read together (0: the first, or the only)."""

    text: int
    span: Span


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an encoder reads for one text, or for two together: ids, the text that each token is
    of (None for the tokenizer's own, such as [CLS]), and its characters there."""

    ids: list[int]
    of: list[int | None]
    offsets: list[tuple[int, int]]

    @property
    def every(self) -> list[int]:
        return list(range(len(self.ids)))

    @property
    def special(self) -> list[int]:
        """Positions of the tokens that stand for no text."""
        return [n for n in self.every if self.of[n] is None]

    def at(self, parts: Collection[Part]) -> list[int]:
        """Positions of all tokens that share a character with one of the parts.

        Raises DataError for parts that no token is read for: the text was cut before them.
        """
        found = []
        for part in parts:
            mine = [
                n
                for n, (of, (start, end)) in enumerate(zip(self.of, self.offsets, strict=True))
                if of == part.text and max(start, part.span.start) < min(end, part.span.end)
            ]
            if not mine:
                raise DataError(
                    f"characters {part.span.start} to {part.span.end} of text {part.text + 1} are "
                    f"read by no token: the encoder reads {len(self.ids)} tokens of it; give "
                    "shorter texts, or an encoder with a longer context"
                )
            found += mine
        return sorted(set(found))


def tokens(encoder: Encoder, texts: Sequence[Text]) -> list[Tokens]:
    """The texts as the encoder reads them.

    Raises ModelError where the tokenizer tells no characters, or the encoder reads other tokens
    than it gives.
    """
    tokenizer = encoder.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            "this encoder's tokenizer does not say which characters a token stands for; give an "
            "encoder with a fast tokenizer (a tokenizer.json)"
        )
    found = []
    for text in texts:
        parts = (text,) if isinstance(text, str) else text
        batch: Any = tokenizer(
            *parts,
            return_offsets_mapping=True,
            truncation=True,
            max_length=encoder.model.max_seq_length,
        )
        found.append(Tokens(batch["input_ids"], batch.sequence_ids(), batch["offset_mapping"]))
    for first in range(0, len(texts), 64):
        _check_read(encoder, texts[first : first + 64], found[first : first + 64])
    return found


def _check_read(encoder: Encoder, texts: Sequence[Text], found: Sequence[Tokens]) -> None:
    read = encoder.features(texts)
    for text, one, ids, mask in zip(
        texts, found, read["input_ids"].tolist(), read["attention_mask"].tolist(), strict=True
    ):
        if [i for i, there in zip(ids, mask, strict=True) if there] != one.ids or not mask[0]:
            raise ModelError(
                f"the encoder reads other tokens of {text!r} than its tokenizer gives, or pads on "
                "the left; states cannot be told by their characters there"
            )


@torch.inference_mode()
def layer_states(
    encoder: Encoder, texts: Sequence[Text]
) -> tuple[Float[Tensor, "layer text pos width"], dict[str, Any]]:
    """The states of all tokens, embeddings first and then after each block, in one batch; and the
    features that they are of. Padded positions hold what the encoder makes of padding.

    In float32, on the encoder's device, without dropout.
    """
    features = encoder.features(texts)
    given = {name: value for name, value in features.items() if isinstance(value, Tensor)}
    with evaluating(encoder.model):
        hidden = encoder.body(**given, output_hidden_states=True).hidden_states
    return torch.stack([one.float() for one in hidden]), features


def place_states(
    encoder: Encoder,
    texts: Sequence[Text],
    places: Sequence[Mapping[str, Sequence[int]]],
    *,
    batch_size: int = 64,
) -> dict[str, Float[Tensor, "text layer width"]]:
    """The mean of the states at each place's positions, for every text and layer (0: embeddings).

    `places` holds, for every text, the positions of each place; all texts name the same ones. No
    value depends on the batch but by rounding. On the CPU, in float32.
    """
    names = list(places[0]) if places else []
    found: dict[tuple[str, int], Tensor] = {}
    for numbers in batch_by_length(encoder.body, encoder.lengths(texts), at_most(batch_size)):
        states, _ = layer_states(encoder, [texts[number] for number in numbers])
        for row, number in enumerate(numbers):
            for name in names:
                there = states[:, row, list(places[number][name])]
                found[name, number] = there.mean(1).cpu()
    return {name: torch.stack([found[name, n] for n in range(len(texts))]) for name in names}
