"""Does a model pick the right candidate more often than chance?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Test


def label_permutation(
    scores: Sequence[Float[np.ndarray, "fact template candidate"]],
    *,
    name: str,
    seed: int,
    draws: int = 10_000,
) -> tuple[Test, float]:
    """Candidate accuracy against chance, by permuting which label belongs to which fact.

    `scores` holds one array per seed, in any unit where higher is better; the right candidate of
    fact i is candidate i, and candidates beyond the facts are right for none. The statistic is the
    accuracy of the best-scored candidate, tied ones sharing the credit, averaged over facts and
    templates and then over seeds. Labels are permuted within each seed and all templates of a
    fact move together, so a model that prefers some candidates whatever the prompt gains nothing.
    One-sided ("higher than chance"), p = (1 + hits) / (1 + draws) as in Phipson and Smyth 2010.

    Returns the test (n counts facts over all seeds) and chance, the mean accuracy under
    permutation, which is 1 / candidates if there is one candidate per fact.
    Raises StatsError if nothing is given, a shape does not fit, or a score is not finite.
    """
    if len(scores) == 0:
        raise StatsError("found no candidate scores; pass a list with one array per seed")
    credits = [_credit(one_seed) for one_seed in scores]
    generator = np.random.default_rng(seed)
    observed = _accuracy(credits, [np.arange(len(credit)) for credit in credits])
    permuted = np.array(
        [
            _accuracy(credits, [generator.permutation(len(credit)) for credit in credits])
            for _ in range(draws)
        ]
    )
    # The tolerance counts accuracies that differ only by the order of summation as equal.
    hits = int(np.count_nonzero(permuted >= observed - 1e-12))
    p = (1 + hits) / (1 + draws)
    chance = float(np.mean([credit.mean() for credit in credits]))
    facts = sum(len(credit) for credit in credits)
    test = f"label permutation, greater, {draws} draws"
    return Test(name, test, observed, p, None, None, None, facts), chance


def _credit(scores: Float[np.ndarray, "fact template candidate"]) -> Float[np.ndarray, "fact fact"]:
    """Share of fact i's templates won by candidate j, for candidates that belong to a fact."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 1:
        raise StatsError(
            f"found candidate scores of shape {array.shape}; pass a list of arrays "
            "[fact, template, candidate] with at least two facts and one template"
        )
    facts, _, candidates = array.shape
    if candidates < facts:
        raise StatsError(
            f"found {candidates} candidates for {facts} facts; candidate i must be fact i's"
        )
    if not np.isfinite(array).all():
        raise StatsError("found candidate scores that are NaN or infinite; score these again")
    best = array == array.max(axis=2, keepdims=True)
    shared = best / best.sum(axis=2, keepdims=True)
    return np.asarray(shared.mean(axis=1)[:, :facts])


def _accuracy(credits: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """Mean over seeds of the mean credit of each fact's label."""
    per_seed = [
        credit[np.arange(len(credit)), label].mean()
        for credit, label in zip(credits, labels, strict=True)
    ]
    return float(np.mean(per_seed))
