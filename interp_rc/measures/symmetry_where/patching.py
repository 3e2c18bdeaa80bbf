"""Which states of a symmetric pair, put into an antisymmetric one, change what the head says?"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp_rc.measures.symmetry_where.asked import Couple, together
from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.encoder import Encoder, Together
from interp_rc.models.encoder_edits import blocks, edited
from interp_rc.models.encoder_states import layer_states
from interp_rc.models.evaluating import evaluating
from interp_rc.records.errors import ModelError

Score = Callable[[Float[Tensor, "text width"]], Float[Tensor, " text"]]
"""What a head says of embeddings: the logit of the symmetric label less the other's."""
EXACT = 1e-3

Values = Float[np.ndarray, " couple"]


@torch.inference_mode()
def patched(
    encoder: Encoder, couples: Sequence[Couple], score: Score, batch_size: int
) -> pd.DataFrame:
    """A row for each couple, layer and place: the score after the exchange (`value`), and its
    share of the difference between the two pairs (`recovered`; null where there is none).

    Raises ModelError unless exchanging everything brings the whole difference.
    """
    pairs = [couple.clean for couple in couples]
    about: dict[str, object] = {
        "pair": [couple.id for couple in couples],
        "fact": [pair.id for pair in pairs],
        "relation": [pair.relation for pair in pairs],
        "other": [couple.relation for couple in couples],
    }
    found = _Scores(np.zeros(len(couples)), np.zeros(len(couples)), {})
    lengths = encoder.lengths([together(pair) for pair in pairs])  # of both pairs of a couple
    for numbers in batch_by_length(encoder.body, lengths, at_most(batch_size)):
        some = _patched(encoder, [couples[number] for number in numbers], score)
        found.clean[numbers], found.corrupted[numbers] = some.clean, some.corrupted
        for place, values in some.exchanged.items():
            found.exchanged.setdefault(place, np.zeros(len(couples)))[numbers] = values
    about |= {"clean": found.clean, "corrupted": found.corrupted}
    tables = [
        pd.DataFrame({**about, "value": values, "layer": layer, "place": place})
        for (layer, place), values in found.exchanged.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    whole = table.clean - table.corrupted
    table["effect"] = table.value - table.corrupted
    table["recovered"] = (table.effect / whole).where(whole.abs() > EXACT)
    every = table[table.place == "everything"]
    off = (every.value - every.clean).abs() > EXACT * (1 + every.clean.abs())
    if off.any():
        raise ModelError(
            f"exchanging all states after {every.layer[off].iloc[0]} layers does not give what the "
            "encoder says of the other pair; this encoder hands more from layer to layer than its "
            "states"
        )
    return table


class _Scores(NamedTuple):
    """Of couples: what the head says of either pair, and after the exchange, by layer and place."""

    clean: Values
    corrupted: Values
    exchanged: dict[tuple[int, str], Values]


def _patched(encoder: Encoder, couples: Sequence[Couple], score: Score) -> _Scores:
    def said(texts: Sequence[Together]) -> Values:
        with evaluating(encoder.model):
            return score(encoder.embed(texts).cpu()).double().numpy()

    clean = [together(couple.clean) for couple in couples]
    corrupted = [couple.corrupted for couple in couples]
    states, _ = layer_states(encoder, clean)
    found = _Scores(said(clean), said(corrupted), {})
    for layer, place in product(range(len(blocks(encoder)) + 1), couples[0].places):
        there = _mask([couple.places[place] for couple in couples], states.shape[2])
        with edited(encoder, layer, there.to(states.device), states[layer]):
            found.exchanged[layer, place] = said(corrupted)
    return found


def _mask(positions: Sequence[Sequence[int]], length: int) -> Bool[Tensor, "text pos"]:
    there = torch.zeros(len(positions), length, dtype=torch.bool)
    for row, mine in enumerate(positions):
        there[row, list(mine)] = True
    return there
