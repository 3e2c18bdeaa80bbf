"""What each site does on average over facts, with intervals and tests."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.engine.effect_places import KEYS, with_place, without_window
from interp_rc.records.numbers import Estimate, Test
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean

FALSE_DISCOVERY_RATE = 0.05
UNITS = {"log_prob": "nat", "logit_difference": "nat", "kl": "nat"}
PerFact = Float[np.ndarray, " fact"]


class Ends(NamedTuple):
    """A mean and the ends of its interval; NaN where there is none."""

    mean: float
    low: float
    high: float


NONE = Ends(np.nan, np.nan, np.nan)


def unit_of(metric: str) -> str:
    return UNITS.get(metric, metric.replace("_", " "))


def estimates_of(
    table: pd.DataFrame, baselines: pd.DataFrame, floor: pd.DataFrame | None, *, seed: int
) -> pd.DataFrame:
    """One row a site and order: `mean` effect over facts with `low` and `high`, of `n` facts.

    A fact's contrasts are averaged first. `recovered` is the mean effect as a share of the mean of
    clean - corrupted, null unless that total's own interval excludes zero. `p` is that of
    `beyond_floor`, `p_adjusted` Benjamini-Hochberg over the sites of an order that could differ;
    null where the causal mask allows no effect in any contrast, or one fact is all there is.
    `below_floor` says that the mean is within what rounding can do (never, without a floor).
    """
    rows = with_place(table)
    total = baselines.set_index("pair")
    rows["total"] = rows.pair.map(total.clean - total.corrupted)
    limits = _limits(floor)
    per_fact = rows.groupby([*KEYS, "fact"], sort=False, dropna=False, as_index=False).agg(
        effect=("effect", "mean"),
        total=("total", "mean"),
        structural_zero=("structural_zero", "all"),
    )
    separated: dict[bytes, bool] = {}
    found, tests = [], []
    for key, part in per_fact.groupby(list(KEYS), sort=False, dropna=False):
        effects, totals = (part[name].to_numpy(float) for name in ("effect", "total"))
        site: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        limit = limits.get((without_window(str(site["site"]))[0], _layer(site["layer"])))
        zero = bool(part.structural_zero.all())
        which = totals.tobytes()
        if which not in separated:
            separated[which] = _excludes_zero(bootstrap_mean(totals, "nat", seed=seed))
        effect = _ends(effects, seed)
        share = _ends(linearised_share(effects, totals), seed) if separated[which] else NONE
        found.append(
            site
            | effect._asdict()
            | {"recovered": share.mean, "recovered_low": share.low, "recovered_high": share.high}
            | {
                "n": len(effects),
                "structural_zero": zero,
                "below_floor": limit is not None and abs(effect.mean) <= limit,
            }
        )
        tests.append(
            Test("", "", None, None, None, None, None, len(effects))
            if zero or len(effects) < 2
            else beyond_floor(effects, limit or 0.0, "")
        )
    estimates = pd.DataFrame(found).astype({"layer": rows.layer.dtype})
    estimates["p"] = [_number(test.p) for test in tests]
    estimates["p_adjusted"] = np.nan
    for _, of in estimates.groupby(["order", "metric"], dropna=False):
        adjusted = benjamini_hochberg([tests[i] for i in of.index])
        estimates.loc[of.index, "p_adjusted"] = [_number(test.p_adjusted) for test in adjusted]
    return estimates


def beyond_floor(effects: np.ndarray, floor: float, name: str) -> Test:
    """Whether the mean is further from zero than the floor; p = 1 where it is not, and 0 where all
    facts have the same effect beyond it."""
    side = float(np.sign(effects.mean()))
    if abs(effects.mean()) <= floor:
        return Test(name, "t beyond the noise floor", 0.0, 1.0, None, None, floor, len(effects))
    found = paired_t(side * effects, np.full(len(effects), floor), name=name)
    p = 0.0 if found.p is None else found.p
    return Test(name, "t beyond the noise floor", found.statistic, p, None, None, floor, found.n)


def linearised_share(effects: PerFact, totals: PerFact) -> PerFact:
    """One value a fact whose mean is mean effect / mean total, and which vary as that ratio does.

    To first order (the delta method), so that an interval of their mean is one of the ratio.
    Shares of single facts would be unbounded where a fact's own total is small.
    """
    share = effects.mean() / totals.mean()
    return share + (effects - share * totals) / totals.mean()


def _limits(floor: pd.DataFrame | None) -> dict[tuple[str, int | None], float]:
    if floor is None:
        return {}
    keys = zip(floor.site, map(_layer, floor.layer), strict=True)
    return dict(zip(keys, floor.floor, strict=True))


def _layer(number: Any) -> int | None:
    """Null ones are not equal to each other."""
    return None if pd.isna(number) else int(number)


def _ends(values: PerFact, seed: int) -> Ends:
    one = bootstrap_mean(values, "share", seed=seed)
    return Ends(_number(one.value), _number(one.low), _number(one.high))


def _excludes_zero(total: Estimate) -> bool:
    return total.low is not None and total.high is not None and not total.low <= 0 <= total.high


def _number(value: float | None) -> float:
    return np.nan if value is None else value
