"""The 95 % interval of a rate whose unit is the fact: one rule, from none right to all right."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

Rates = Float[np.ndarray, " cluster"]

MIDDLE, END = 0.035, 0.05
"""What a limit may miss: `MIDDLE` where both can, `END` where the other one cannot miss."""
RISE = 0.25
"""How the guarded limit rises with the mean, so that one hit never narrows the interval."""
ROUNDING = 1e-12
LOG_TIMES = np.arange(-14.0, 10.0, 0.1)


def hidden_share(clusters: int) -> float:
    """The largest share of other facts of which none among `clusters` is seen with probability
    0.025: the upper limit of Clopper and Pearson (1934, Biometrika 26, 404-413) for none at all."""
    return float(1 - 0.025 ** (1 / clusters))


def rate_limits(rates: Rates, weights: Rates | None = None) -> tuple[float, float]:
    """Return the limits of the mean of `rates`, one a fact and each in [0, 1].

    The upper limit is a quantile of the mean under random, exponential weights of the facts (the
    Bayesian bootstrap: Rubin 1981, Ann. Statist. 9, 130-134) and of one fact more that was not
    seen, halfway between the highest rate and 1. (Gaffke's bound has it at 1, and is wider: see
    Learned-Miller and Thomas 2019, arXiv:1905.06208.) It is never below what `hidden_share` allows
    where none was right, plus a quarter of the mean (`guard`). The lower limit is the same of what
    was wrong.

    No limit falls when a rate rises, nothing is drawn, and the prompts of a fact may depend on each
    other as they like; coverage is simulated by `python -m analysis.coverage`.

    Args:
        rates: at least two, means over the prompts of a fact.
        weights: how much a fact counts, above zero; all alike if left out.

    Returns:
        Lower and upper limit, in [0, 1].
    """
    weighed = np.ones_like(rates) if weights is None else weights / weights.mean()
    return 1 - _upper(1 - rates, weighed), _upper(rates, weighed)


def _upper(rates: Rates, weights: Rates) -> float:
    hidden, mean = hidden_share(rates.size), float(weights @ rates / weights.sum())
    if mean >= 1 - ROUNDING:
        return 1.0
    pairs, counts = np.unique(
        np.stack([np.append(rates, unseen(rates.max())), np.append(weights, 1.0)]),
        axis=1,
        return_counts=True,
    )

    def too_high(limit: float) -> float:
        return float(below(limit, pairs[0], pairs[1], counts)) - (1 - tail(1 - limit, hidden))

    quantile = float(optimize.brentq(too_high, mean, 1.0, xtol=1e-9))
    return min(max(quantile, guard(mean, hidden)), 1.0)


def unseen(highest: float) -> float:
    """The rate of the fact that the upper limit takes into account besides those that were seen."""
    return (1 + highest) / 2


def guard(mean: Float[np.ndarray, "*sample"] | float, hidden: float) -> Any:
    """What the upper limit is never below."""
    return hidden + RISE * mean


def tail(distance: float, hidden: float) -> float:
    """What a limit may miss at a mean that is so far from the end on the limit's other side.

    Within `hidden` of that end the other limit cannot miss, and all of it is this one's.
    """
    return END - (END - MIDDLE) * min(1.0, max(0.0, 2 * (distance / hidden - 1)))


def below(
    mean: float,
    values: Float[np.ndarray, " value"],
    weights: Float[np.ndarray, " value"],
    counts: Float[np.ndarray, "*sample value"],
) -> Float[np.ndarray, "*sample"]:
    """The probability that the mean of a sample, where every value is there `counts` times, lies
    below `mean` if each has an exponential weight of its own, times its `weights`.

    That is the probability that a sum of exponential variables, each times its weighed distance
    to `mean`, is negative: by inversion of its characteristic function (Gil-Pelaez 1951,
    Biometrika 38, 481-482), over the logarithm of the time.
    """
    distances = weights * (values - mean)
    scale = np.sqrt((counts @ distances**2).mean())
    moved = np.multiply.outer(distances, np.exp(LOG_TIMES) / max(scale, 1e-300))
    turned = np.sin(counts @ np.arctan(moved)) * np.exp(-0.5 * counts @ np.log1p(moved**2))
    left: np.ndarray = 0.5 - turned.sum(-1) * (LOG_TIMES[1] - LOG_TIMES[0]) / np.pi
    return left
