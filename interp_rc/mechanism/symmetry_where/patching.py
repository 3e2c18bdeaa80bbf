"""Which states of a symmetric pair, put into an antisymmetric one, change what the head says?"""

from collections.abc import Callable, Sequence
from itertools import product

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp_rc.mechanism.symmetry_where.asked import Couple, together
from interp_rc.models.encoder import Encoder, Together
from interp_rc.models.encoder_edits import blocks, edited
from interp_rc.models.encoder_states import layer_states
from interp_rc.models.evaluating import evaluating
from interp_rc.records.errors import ModelError

Score = Callable[[Float[Tensor, "text width"]], Float[Tensor, " text"]]
"""What a head says of embeddings: the logit of the symmetric label less the other's."""
EXACT = 1e-3


@torch.inference_mode()
def patched(
    encoder: Encoder, couples: Sequence[Couple], score: Score, batch_size: int
) -> pd.DataFrame:
    """A row for each couple, layer and place: the score after the exchange (`value`), and its
    share of the difference between the two pairs (`recovered`; null where there is none).

    Raises ModelError unless exchanging everything brings the whole difference.
    """
    tables = []
    for first in range(0, len(couples), batch_size):
        tables.append(_patched(encoder, couples[first : first + batch_size], score))
    table = pd.concat(tables, ignore_index=True)
    whole = table.clean - table.corrupted
    table["effect"] = table.value - table.corrupted
    table["recovered"] = (table.effect / whole).where(whole.abs() > EXACT)
    every = table[table.span == "everything"]
    off = (every.value - every.clean).abs() > EXACT * (1 + every.clean.abs())
    if off.any():
        raise ModelError(
            f"exchanging all states after {every.layer[off].iloc[0]} layers does not give what the "
            "encoder says of the other pair; this encoder hands more from layer to layer than its "
            "states"
        )
    return table


def _patched(encoder: Encoder, couples: Sequence[Couple], score: Score) -> pd.DataFrame:
    def said(texts: Sequence[Together]) -> list[float]:
        with evaluating(encoder.model):
            return score(encoder.embed(texts).cpu()).tolist()

    clean = [together(couple.clean) for couple in couples]
    corrupted = [couple.corrupted for couple in couples]
    states, _ = layer_states(encoder, clean)
    ends = {"clean": said(clean), "corrupted": said(corrupted)}
    about = {
        "pair": [couple.id for couple in couples],
        "fact": [couple.clean.id for couple in couples],
        "relation": [couple.clean.relation for couple in couples],
        "other": [couple.relation for couple in couples],
    }
    tables = []
    for layer, place in product(range(len(blocks(encoder)) + 1), couples[0].places):
        there = _mask([couple.places[place] for couple in couples], states.shape[2])
        with edited(encoder, layer, there.to(states.device), states[layer]):
            values = said(corrupted)
        rows = pd.DataFrame(about | ends | {"value": values})
        tables.append(rows.assign(layer=layer, span=place))
    return pd.concat(tables, ignore_index=True)


def _mask(positions: Sequence[Sequence[int]], length: int) -> Bool[Tensor, "text pos"]:
    there = torch.zeros(len(positions), length, dtype=torch.bool)
    for row, mine in enumerate(positions):
        there[row, list(mine)] = True
    return there
