"""Train only those rows of a word embedding whose tokens occur, which changes nothing but the time.

A token that never occurs has no gradient, so Adam's moments of its row stay zero and the row never
moves; and half of a small BERT's weights are the 30,000 rows of its vocabulary. Exact for Adam
without weight decay, and for every optimiser that leaves a row of zero gradients alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel


class _Rows(nn.Module):
    """An embedding of the tokens in `used` alone, asked by the ids of the whole vocabulary."""

    place: Int[Tensor, " token"]

    def __init__(self, whole: nn.Embedding, used: Int[Tensor, " row"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(whole.weight.detach()[used].clone())
        self.weight.requires_grad_(whole.weight.requires_grad)
        place = torch.full((whole.num_embeddings,), -1, device=used.device)
        place[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("place", place, persistent=False)
        pad = whole.padding_idx
        self.padding_idx = None if pad is None else int(place[pad])
        if self.padding_idx == -1:
            self.padding_idx = None

    def forward(self, ids: Int[Tensor, "*many"]) -> Float[Tensor, "*many width"]:
        return nn.functional.embedding(self.place[ids], self.weight, self.padding_idx)


@contextmanager
def only_rows_of(body: PreTrainedModel, ids: Int[Tensor, "*many"]) -> Iterator[None]:
    """Within, `body` trains the word embeddings of these tokens alone; afterwards it has its whole
    embedding back, with what they have become."""
    whole = body.get_input_embeddings()
    used = torch.unique(ids)
    rows = _Rows(whole, used)
    body.set_input_embeddings(rows)
    try:
        yield
    finally:
        body.set_input_embeddings(whole)
        with torch.no_grad():
            whole.weight[used] = rows.weight
