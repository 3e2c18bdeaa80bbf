"""How much of the difference between two models it takes: its singular directions, one matrix at a
time or in all together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.measures.transplant.pair import Whole
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.weights.exchange import rewritten, weights_of
from interp_rc.tools.weights.sites import Piece, WeightSite

Kept = Literal["top", "rest", "random"]
KEPT: tuple[Kept, ...] = ("top", "random", "rest")


class Directions(NamedTuple):
    """A difference as `left` diag(`sizes`) `right`, the largest first; in float64."""

    left: Float[Tensor, "row direction"]
    sizes: Float[Tensor, " direction"]
    right: Float[Tensor, "direction column"]

    def part(self, rank: int, kept: Kept, seed: int) -> Float[Tensor, "row column"]:
        """The first `rank` directions (`top`), all others (`rest`), or as many drawn at random with
        as large a squared norm as the first ones (`random`; one draw for all facts)."""
        chosen = torch.arange(len(self.sizes))
        scale = 1.0
        if kept == "random":
            draw = torch.Generator().manual_seed(seed)
            chosen = chosen[torch.randperm(len(chosen), generator=draw)[:rank]]
            norm = float(self.sizes[chosen].norm())
            scale = float(self.sizes[:rank].norm()) / norm if norm else 0.0
        else:
            chosen = chosen[:rank] if kept == "top" else chosen[rank:]
        return scale * (self.left[:, chosen] * self.sizes[chosen]) @ self.right[chosen]


class Differences:
    """The differences of all matrices at some sites, taken apart once.

    Vectors (biases, gains of norms) have no rank: those of the sites are given whole.
    """

    def __init__(self, pair: Whole, sites: Sequence[WeightSite]) -> None:
        self.pair = pair
        names = dict.fromkeys(piece.parameter for site in sites for piece in pair.pieces(site))
        base, finetuned = weights_of(pair.base), weights_of(pair.finetuned)
        self._base: Mapping[str, Tensor] = {n: base[n] for n in names}
        self._whole = {n: finetuned[n] for n in names}
        self.matrices = {
            n: _taken_apart(finetuned[n].cpu().double() - base[n].cpu().double())
            for n in names
            if base[n].ndim == 2
        }

    @cached_property
    def rank(self) -> int:
        """The most directions that a matrix has."""
        return max((len(one.sizes) for one in self.matrices.values()), default=0)

    @contextmanager
    def given(self, rank: int, kept: Kept, seed: int = 0) -> Iterator[Adapter]:
        """The base model with this part of every difference."""
        weights = dict(self._whole)
        for name, one in self.matrices.items():
            part = one.part(rank, kept, derive_seed(seed, name, rank))
            weights[name] = (self._base[name].cpu().double() + part).to(self._base[name])
        pieces = [Piece(name) for name in weights]
        with rewritten(self.pair.adapter("given"), weights, pieces):
            yield self.pair.adapter("given")

    def spectra(self) -> pd.DataFrame:
        """One row a matrix and rank: `share` of the squared norm in the first directions, and the
        matrix's `effective_rank`: e to the entropy [nat] of the normalised singular values (Roy and
        Vetterli 2007, EUSIPCO, definition 1); null where nothing differs."""
        frames = []
        for name, (_, sizes, _) in self.matrices.items():
            squares = sizes.square()
            if squares.sum() > 0:
                frames.append(
                    pd.DataFrame(
                        {
                            "parameter": name,
                            "rank": range(1, len(sizes) + 1),
                            "share": (squares.cumsum(0) / squares.sum()).numpy(),
                            "effective_rank": effective_rank(sizes),
                        }
                    )
                )
        return pd.concat(frames, ignore_index=True)


def effective_rank(sizes: Float[Tensor, " direction"]) -> float:
    shares = sizes / sizes.sum()
    return float(torch.special.entr(shares).sum().exp())


def ranks(most: int) -> list[int]:
    """1, 2, 4, … and all."""
    return [*(2**i for i in range(most.bit_length()) if 2**i < most), most]


def _taken_apart(difference: Tensor) -> Directions:
    return Directions(*torch.linalg.svd(difference, full_matrices=False))
