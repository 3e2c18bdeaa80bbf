"""How often the intervals of rates hold the true rate, by simulation.

python -m analysis.coverage            # about a minute

Facts have rates of their own (beta), and their templates are answered by those: the correlation of
two templates of a fact goes from 0 (all facts alike) to 1 (a fact is answered in all of its
templates or in none).
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from analysis.descriptions import TABLES
from analysis.over_seeds import write_csv, write_environment
from interp_rc.stats.intervals import rate_over_seeds
from interp_rc.stats.rates import below, guard, hidden_share, tail, unseen

NAME = "coverage"
MEANS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
FACTS, TEMPLATES = (10, 30, 60), (1, 2, 3, 5, 10)
CORRELATIONS = (0.0, 0.1, 0.3, 0.6, 1.0)
SEEDS, SEED_CORRELATIONS = (3, 5, 10), (0.0, 0.01, 0.05)
OF_A_SEED = {"facts": 30, "templates": 10, "correlation": 0.3}
COLUMNS = [
    "unit",
    "seeds",
    "seed_correlation",
    *OF_A_SEED,
    "mean",
    "coverage",
    "too_low",
    "too_high",
]

Counts = Int[np.ndarray, "sample right"]


def drawn(
    draw: np.random.Generator, mean: float, correlation: float, shape: tuple[int, ...]
) -> Float[np.ndarray, "*shape"]:
    """Rates around `mean`, beta with the intracluster correlation wanted."""
    if correlation == 0:
        return np.full(shape, mean)
    if correlation == 1:
        return draw.binomial(1, mean, shape).astype(float)
    size = 1 / correlation - 1
    return draw.beta(mean * size, (1 - mean) * size, shape)


def limits_hold(counts: Counts, mean: float) -> tuple[Bool[np.ndarray, " sample"], ...]:
    """Whether the lower and the upper limit of `rate_limits` hold `mean`, of samples given by how
    many facts are right in 0, 1, … of their templates: the limits themselves need not be found."""
    return _upper_holds(counts[:, ::-1], 1 - mean), _upper_holds(counts, mean)


def _upper_holds(counts: Counts, mean: float) -> Bool[np.ndarray, " sample"]:
    rates = np.linspace(0, 1, counts.shape[1])
    highest = counts.shape[1] - 1 - (counts[:, ::-1] > 0).argmax(1)
    facts = int(counts[0].sum())
    hidden, means = hidden_share(facts), counts @ rates / facts
    values = np.concatenate([rates, [unseen(rate) for rate in rates]])
    beside = np.eye(len(rates), dtype=int)[highest]
    left = below(mean, values, np.ones(len(values)), np.concatenate([counts, beside], axis=1))
    return np.asarray(
        (left <= 1 - tail(1 - mean, hidden)) | (guard(means, hidden) >= mean) | (means == 1)
    )


def over_facts(
    facts: int, templates: int, correlation: float, mean: float, samples: int, seed: int
) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    right = draw.binomial(templates, drawn(draw, mean, correlation, (samples, facts)))
    counts = np.stack([(right == k).sum(1) for k in range(templates + 1)], axis=1)
    low, high = limits_hold(counts, mean)
    return {
        "unit": "fact",
        "facts": facts,
        "templates": templates,
        "correlation": correlation,
        "mean": mean,
    } | shares(low, high)


def over_seeds(
    seeds: int, seed_correlation: float, mean: float, samples: int, seed: int
) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    facts, templates = int(OF_A_SEED["facts"]), int(OF_A_SEED["templates"])
    of_seed = drawn(draw, mean, seed_correlation, (samples, seeds, 1))
    size = 1 / OF_A_SEED["correlation"] - 1
    rates = draw.beta(
        np.maximum(of_seed * size, 1e-9),
        np.maximum((1 - of_seed) * size, 1e-9),
        (samples, seeds, facts),
    )
    right = draw.binomial(templates, rates).mean(2) / templates
    found = [rate_over_seeds(sample, seeds * facts) for sample in right]
    low = np.array([one.low is not None and one.low <= mean for one in found])
    high = np.array([one.high is not None and one.high >= mean for one in found])
    return {
        "unit": "seed",
        "seeds": seeds,
        "seed_correlation": seed_correlation,
        **OF_A_SEED,
        "mean": mean,
    } | shares(low, high)


def shares(low: Bool[np.ndarray, " sample"], high: Bool[np.ndarray, " sample"]) -> dict[str, float]:
    """The share of intervals that hold the mean, that lie below it and that lie above it."""
    return {
        "coverage": float((low & high).mean()),
        "too_low": float((~high).mean()),
        "too_high": float((~low).mean()),
    }


def coverage_table(samples: int, seed: int = 0) -> pd.DataFrame:
    rows = [
        over_facts(*cell, samples, seed)
        for cell in product(FACTS, TEMPLATES, CORRELATIONS, MEANS)
        if cell[1] > 1 or cell[2] == 0  # one template has nothing to be correlated with
    ]
    rows += [
        over_seeds(*cell, samples // 4, seed) for cell in product(SEEDS, SEED_CORRELATIONS, MEANS)
    ]
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"seeds": "Int64"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=4000, help="a cell; of seeds a quarter")
    parser.add_argument("--out", type=Path, default=TABLES)
    arguments = parser.parse_args()
    write_csv(arguments.out, NAME, coverage_table(arguments.samples))
    write_environment(arguments.out, NAME, [])
    print(f"tables in {arguments.out}")


if __name__ == "__main__":
    main()
