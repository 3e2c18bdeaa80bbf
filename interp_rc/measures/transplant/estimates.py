"""What the tables of weight transplants come to: estimates and tests over facts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.means import add_mean, means_by_fact

NAME = "transplant"
SINGLE, SETS, SITES, RANKS, SPECTRA, NEURONS = (
    f"mechanism/{NAME}{part}" for part in ("", "_sets", "_sites", "_ranks", "_spectra", "_neurons")
)
FEW = 16  # singular directions that the test is about
OF_RANK = {"direction": "direction", "set": "kept", "rank": "rank"}
SHOWN = (1, 4, 16, 64)  # ranks
Tables = Mapping[str, pd.DataFrame]


def transplant_estimates(tables: Tables, seed: int) -> Estimates:
    """`fact` effects [nat] throughout, but for `answer` where it is said, and the `lead` of what is
    taken. Of facts told in either order together but where a group or order is named."""
    found = Estimates(NAME)
    if SINGLE in tables:
        add_units(found, tables[SINGLE], seed)
    if SETS in tables:
        for order, mine in tables[SETS].groupby("told", sort=False):
            for kind, rows in kinds_of(mine).items():
                for of, values in means_by_fact(rows, {"role": "asked"}):
                    of = {"order": order, "set": kind} | of
                    add_mean(found, values, "nat", seed, part="smallest", **of)
    if RANKS in tables:
        ranks = tables[RANKS]
        shown = ranks[ranks["rank"].isin([*SHOWN, ranks["rank"].max()])]
        for of, values in means_by_fact(same_or_top(shown), OF_RANK):
            add_mean(found, values, "nat", seed, part="rank", **of)
    if NEURONS in tables:
        same = tables[NEURONS].query("direction == 'same' and act == 'given'")
        for of, values in means_by_fact(same, {"component": "of", "set": "set", "count": "k"}):
            add_mean(found, values, "nat", seed, part="neurons", edit="given", **of)
    if SITES in tables:
        add_counts(found, tables[SITES])
    return found


def add_units(found: Estimates, single: pd.DataFrame, seed: int) -> None:
    """Add what all weights bring, by group and direction; what whole attentions and MLPs and what
    is outside the layers do, each alone; and those that bring most as told, and cost most."""
    every = single[single.act == "given"].drop_duplicates(["query", "metric"])
    every = every.assign(direction=every.direction.fillna("both"))
    axes = {"group": "group", "direction": "direction", "quantity": "metric"}
    for of, values in means_by_fact(every, axes, "whole"):
        add_mean(found, values, "nat", seed, part="all", **of)
    judged = single.metric == single.act.map({"given": "fact", "taken": "lead"})
    # Sites that are called by what they are in every model, and not by the model's own name.
    units = single[judged & single.direction.notna() & (single.site == _units(single))]
    keys = ["act", "component", "layer", "site", "direction"]
    for (act, component, layer, site, direction), part in units.groupby(
        keys, sort=False, dropna=False
    ):
        use = derive_seed(seed, f"{NAME}.{act}.{site}.{direction}")
        estimate = bootstrap_mean(_facts(part), "nat", seed=use)
        found.add(estimate, edit=act, **_unit(component, layer), direction=direction)
    for act, pick in (("given", max), ("taken", min)):
        if rows := found.where(edit=act, direction="same").rows:
            best = pick(rows, key=lambda row: row.estimate.value or 0)
            of = {axis: best.of.get(axis) for axis in ("component", "layer")}
            found.add(best.estimate, quantity=f"most_{act}", **of)


def kinds_of(sets: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The sets that are compared; where nothing was learnt, and so nothing chosen, only all."""
    whole = {"all": sets[sets.set == "all"]}
    chosen = sets[sets["last"]]
    if chosen.empty:
        return whole
    return whole | {
        "greedy": chosen,
        "units": sets[sets.set == "units"],
        "random": sets[(sets.set == "random") & (sets.k == chosen.k.iloc[0])],
        "as_large": sets[sets.set == "as_large"],
    }


def add_counts(found: Estimates, sites: pd.DataFrame) -> None:
    """Add how many sites were chosen, their share of all weights, and of each unit's weights the
    share that is in the greedy sets (n of them): of one model, so no interval."""
    for order, mine in sites.groupby("told", sort=False):
        total = int(mine[mine.set == "all"]["size"].sum())
        for kind in ("greedy", "units"):
            part = mine[mine.set == kind]
            for quantity, value, unit in (
                ("sites", float(len(part)), "sites"),
                ("weights", float(part["size"].sum()) / total, "fraction"),
            ):
                one = Estimate(value, None, None, 1, unit)
                found.add(one, part="smallest", order=order, set=kind, quantity=quantity)
    for (component, layer), rows in sites.groupby(["component", "layer"], sort=False, dropna=False):
        whole, chosen = (rows[rows.set == kind]["size"].sum() for kind in ("all", "greedy"))
        if whole:
            share = Estimate(
                float(chosen) / float(whole), None, None, sites.told.nunique(), "fraction"
            )
            found.add(share, part="smallest", quantity="holds", **_unit(component, layer))


def _unit(component: Any, layer: Any) -> dict[str, Any]:
    return {"component": component, "layer": None if pd.isna(layer) else layer}


def _units(sites: pd.DataFrame) -> pd.Series:
    """By their names: `mlp.3`, `attention.0`, or what is outside the layers."""
    layers = "." + sites.layer.astype("string")
    return sites.component.where(sites.layer.isna(), sites.component + layers)


def _facts(part: pd.DataFrame) -> Float[np.ndarray, " fact"]:
    return part.groupby("fact").effect.mean().to_numpy(float)


def same_or_top(ranks: pd.DataFrame) -> pd.DataFrame:
    """Asked as told, and of the largest directions in reverse."""
    return ranks[(ranks.direction == "same") | (ranks.kept == "top")]


def curves(tables: Tables, seed: int) -> Estimates:
    """Effects [nat] of the first k chosen sites, and of k at random where k is a power of two, put
    into the base; and of every rank of the differences. Absent where there is no such table."""
    found = Estimates(NAME)
    use = derive_seed(seed, "report", NAME)
    parts = []
    if SETS in tables:
        sets = tables[SETS]
        powers = sets.k.map(lambda k: int(k).bit_count() == 1)
        drawn = (sets.set == "random") & powers & (sets.asked == "told")
        chosen = (sets.set == "greedy") & sets.asked.isin(["told", "reverse"])
        axes = {"order": "told", "set": "set", "role": "asked", "count": "k"}
        parts.append(("by_number", sets[drawn | chosen], axes))
    if RANKS in tables:
        parts.append(("by_rank", same_or_top(tables[RANKS]), OF_RANK))
    for part, table, axes in parts:
        for of, values in means_by_fact(table, axes):
            found.add(bootstrap_mean(values, "nat", seed=use), part=part, **of)
    return found


def transplant_tests(tables: Tables) -> list[Test]:
    """Do few sites carry more than others at random? Do the largest singular directions carry more
    than others (of one draw)? Holm over all."""
    tests = []
    sets = tables.get(SETS)
    for told, mine in () if sets is None else sets.groupby("told", sort=False):
        kinds = kinds_of(mine)
        if "greedy" not in kinds:
            continue
        said = {kind: _facts(rows[rows.asked == "told"]) for kind, rows in kinds.items()}
        for kind in ("random", "as_large"):
            name = f"{NAME}.smallest.{told}.more_than_{kind}"
            ends = said["greedy"], said[kind]
            tests.append(paired_t(*ends, name=name, alternative="greater"))
    ranks = tables.get(RANKS)
    if ranks is not None:
        few = ranks[(ranks["rank"] == FEW) & (ranks.direction == "same")]
        if len(few):
            by_kept = few.pivot_table(index="fact", columns="kept", values="effect")
            top, drawn = (by_kept[kept].to_numpy(float) for kept in ("top", "random"))
            name = f"{NAME}.rank.top_more_than_random"
            tests.append(paired_t(top, drawn, name=name, alternative="greater"))
    return holm(tests)
