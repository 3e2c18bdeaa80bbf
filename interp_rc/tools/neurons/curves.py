"""How many neurons it takes: effects of giving, or removing, the coefficients of the top k."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cases import Batch, Case, read_cases
from interp_rc.engine.run_patches import cached_batches
from interp_rc.engine.sites import Token
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.dimensions import neurons_of
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.neurons.coefficients import given_at, run_with
from interp_rc.tools.neurons.ranking import (
    Means,
    Pairs,
    Ranking,
    as_mask,
    clean_tokens,
    coefficient_runs,
    matched_at_random,
    mean_coefficients,
    means_at,
    token_pairs,
)

Act = Literal["transplant", "ablate"]
Set = Literal["top", "random"]


class _Chosen(NamedTuple):
    """Neurons of a contrast, their number, and what they write (see `neuron_curves`)."""

    mask: Bool[Tensor, "layer neuron"]
    n: int
    write: float


def grid(neurons: int) -> list[int]:
    """1, 2, 4, … and all."""
    return [*(2**i for i in range(neurons.bit_length()) if 2**i < neurons), neurons]


def neuron_curves(
    model: Loaded,
    contrasts: Sequence[Contrast],
    rankings: Ranking,
    *,
    ks: Sequence[int] | None = None,
    span: str = "source",
    token: Token = "all",
    seed: int = 0,
    memory: int | None = None,
) -> pd.DataFrame:
    """One row a contrast, act, set and k; `rankings` has a row a contrast, in their order.

    `transplant` gives the neurons of the corrupted prompt their coefficients in the clean one (of
    spans of unlike length, the last tokens are matched); `ablate` gives those of the clean prompt
    their mean over all clean prompts of the same order. Both at the span's tokens only, all layers
    at once. The set `top` holds the first `k` of the ranking, `random` as many of the others as
    write as much (see `matched_at_random`), or all of them. `n` counts the neurons; `write` is the
    root of what they write, by the ranking, squared and summed. `value` is the log-probability of
    the target [nat], `effect` what it gained over the same run unchanged, `recovered` its share of
    clean less corrupted.

    To choose and to measure on the same contrast overstates: rank on another template.
    """
    adapter = Adapter(model.model)
    runs, layers, neurons = adapter.by_layers, adapter.layers, neurons_of(model.model)
    sizes = grid(layers * neurons) if ks is None else ks
    cases = read_cases(model, model, contrasts, "log_prob")
    both = coefficient_runs(adapter, cases, memory)
    means = mean_coefficients(both, span, token)
    rows: list[dict[str, Any]] = []
    total = 4 * len(sizes) * len(cases)
    with torch.no_grad(), tqdm(total=total, desc="neuron curves", disable=None) as bar:
        for batch in cached_batches(both, both.budget()):
            of_batch = [cases[number] for number in batch.numbers]
            pairs = token_pairs(of_batch, span, token, runs.home)
            alone = clean_tokens(of_batch, span, token, runs.home)
            for kind, k, chosen in _sets(rankings, batch, contrasts, sizes, seed):
                masks = torch.stack([one.mask for one in chosen]).to(runs.home)
                for act, run in _acts(runs, batch, of_batch, pairs, alone, means):
                    with runs.opened():
                        values = run(masks).tolist()
                    rows += _rows(of_batch, batch, act, kind, k, chosen, values)
                    bar.update(len(values))
    return _in_order(rows, contrasts)


def _sets(
    rankings: Ranking, batch: Batch, contrasts: Sequence[Contrast], ks: Sequence[int], seed: int
) -> Iterator[tuple[Set, int, list[_Chosen]]]:
    orders = [rankings.order(number) for number in batch.numbers]
    layers, neurons = rankings.score.shape[1:]
    for k in ks:
        tops: list[_Chosen] = []
        drawn: list[_Chosen] = []
        for number, order in zip(batch.numbers, orders, strict=True):
            write = rankings.write[number].flatten()
            # Drawn anew for every k, so that no one unlucky draw decides a whole curve.
            draw = torch.Generator().manual_seed(derive_seed(seed, contrasts[number].id, k))
            for found, chosen in (
                (tops, order[:k]),
                (drawn, matched_at_random(write, order[:k], draw)),
            ):
                length = float(write[chosen].sum().sqrt())
                found.append(_Chosen(as_mask(chosen, layers, neurons), len(chosen), length))
        yield "top", k, tops
        yield "random", k, drawn


def _acts(
    runs: Layerwise,
    batch: Batch,
    cases: Sequence[Case],
    pairs: Pairs,
    alone: tuple[Int[Tensor, " token"], Int[Tensor, " token"]],
    means: Means,
) -> Iterator[tuple[Act, Callable[[Tensor], Float[Tensor, " prompt"]]]]:
    row, clean, corrupted = pairs

    def transplant(masks: Tensor) -> Float[Tensor, " prompt"]:
        def given(layer: int) -> Tensor:
            return batch.giving.values(Place("mlp_post", layer), row, clean)

        return run_with(runs, batch.taking, given_at((row, corrupted), masks, given))

    def ablate(masks: Tensor) -> Float[Tensor, " prompt"]:
        def given(layer: int) -> Tensor:
            return means_at(means, layer, cases, alone[0])

        return run_with(runs, batch.giving, given_at(alone, masks, given))

    yield "transplant", transplant
    yield "ablate", ablate


def _rows(
    cases: Sequence[Case],
    batch: Batch,
    act: Act,
    kind: Set,
    k: int,
    chosen: Sequence[_Chosen],
    values: Sequence[float],
) -> Iterator[dict[str, Any]]:
    for case, (clean, corrupted), one, value in zip(
        cases, batch.known, chosen, values, strict=True
    ):
        effect = value - (corrupted if act == "transplant" else clean)
        whole = clean - corrupted
        yield {
            "pair": case.contrast.id,
            "fact": case.contrast.fact,
            "order": case.contrast.order,
            "act": act,
            "set": kind,
            "k": k,
            "n": one.n,
            "write": one.write,
            "value": value,
            "effect": effect,
            "recovered": effect / whole if whole else None,
        }


def _in_order(rows: Sequence[dict[str, Any]], contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """As the contrasts come, whatever batches they were computed in."""
    place = {contrast.id: number for number, contrast in enumerate(contrasts)}
    table = pd.DataFrame(rows)
    found = table.assign(place=table.pair.map(place)).sort_values("place", kind="stable")
    return found.drop(columns="place").reset_index(drop=True)


def to_half(ks: Sequence[int], effects: Float[np.ndarray, " k"]) -> float | None:
    """The k at which a curve first reaches half of its last effect, interpolated on a log scale.

    None unless the last effect is above zero.
    """
    half = effects[-1] / 2
    if not half > 0:
        return None
    first = int(np.argmax(effects >= half))
    if first == 0:
        return float(ks[0])
    low, high = effects[first - 1], effects[first]
    share = (half - low) / (high - low)
    return float(np.exp(np.interp(share, [0, 1], np.log([ks[first - 1], ks[first]]))))
