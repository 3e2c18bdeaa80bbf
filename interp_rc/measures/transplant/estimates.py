"""What the tables of weight transplants come to: estimates and tests over facts."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean

NAME = "transplant"
FEW = 16  # singular directions that the test is about
RANKS = (1, 4, 16, 64)
Tables = Mapping[str, pd.DataFrame]


def transplant_estimates(tables: Tables, seed: int) -> dict[str, Estimate]:
    """`fact` effects [nat] throughout, but for `answer` where it is said, and the `lead` of what is
    taken."""
    found: dict[str, Estimate] = {}
    for name, values, unit in _values(tables):
        numbers = np.asarray(values, dtype=float)
        full = f"{NAME}.{name}"
        found[full] = bootstrap_mean(numbers, unit, seed=derive_seed(seed, full))
    sites = tables.get(f"mechanism/{NAME}_sites")
    return found if sites is None else found | _counts(sites)


def _values(tables: Tables) -> Iterator[tuple[str, Any, str]]:
    """Name, one value a fact, unit."""
    single = tables.get(f"mechanism/{NAME}")
    if single is not None:
        yield from _of_units(single)
    sets = tables.get(f"mechanism/{NAME}_sets")
    if sets is not None:
        yield from _of_sets(sets)
    ranks = tables.get(f"mechanism/{NAME}_ranks")
    if ranks is not None:
        shown = ranks[ranks["rank"].isin([*RANKS, ranks["rank"].max()])]
        shown = shown[(shown.direction == "same") | (shown.kept == "top")]
        for (rank, kept, direction), part in _by(shown, ["rank", "kept", "direction"]):
            yield f"rank.{direction}.{kept}.r{rank}", _facts(part), "nat"
    neurons = tables.get(f"mechanism/{NAME}_neurons")
    if neurons is not None:
        same = neurons[(neurons.direction == "same") & (neurons.act == "given")]
        for (of, kind, k), part in _by(same, ["of", "set", "k"]):
            yield f"neurons.given.{of}.{kind}.k{k}", _facts(part), "nat"


def _of_units(single: pd.DataFrame) -> Iterator[tuple[str, Any, str]]:
    """Facts told in either order together, asked as told and in reverse; those told in both."""
    outside = single[single.act == "given"].drop_duplicates(["query", "metric"])
    keys = ["subset", "direction", "metric"]
    for (subset, direction, metric), part in _by(outside, keys):
        asked = direction or "both"
        yield f"all.{subset}.{asked}.{metric}", part.groupby("fact").whole.mean(), "nat"
    judged = single.metric == single.act.map({"given": "fact", "taken": "lead"})
    units = single[judged & single.direction.notna()]
    units = units[units.site.isin(_unit_names(single))]
    for (act, site, direction), part in _by(units, ["act", "site", "direction"]):
        yield f"{act}.{site}.{direction}", _facts(part), "nat"


def _unit_names(single: pd.DataFrame) -> set[str]:
    """Sites that are called by what they are in every model, and not by the model's own name."""
    return set(single.site[single.site == _units(single)])


def _of_sets(sets: pd.DataFrame) -> Iterator[tuple[str, Any, str]]:
    for told, mine in sets.groupby("told", sort=False):
        for kind, rows in kinds_of(mine).items():
            for asked, part in rows.groupby("asked", sort=False):
                yield f"smallest.{told}.{kind}.{asked}", _facts(part), "nat"


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


def _counts(sites: pd.DataFrame) -> dict[str, Estimate]:
    """How many sites were chosen, their share of all weights, and of each unit's weights the share
    that is in the greedy sets (n of them): of one model, so no interval."""
    found = {}
    for told, mine in sites.groupby("told", sort=False):
        total = int(mine[mine.set == "all"]["size"].sum())
        for kind in ("greedy", "units"):
            part = mine[mine.set == kind]
            start = f"{NAME}.smallest.{told}.{kind}"
            found[f"{start}.sites"] = Estimate(float(len(part)), None, None, 1, "sites")
            share = float(part["size"].sum()) / total
            found[f"{start}.weights"] = Estimate(share, None, None, 1, "fraction")
    units = sites.assign(unit=_units(sites))
    weights = units[units.set == "all"].groupby("unit", sort=False)["size"].sum()
    chosen = units[units.set == "greedy"].groupby("unit")["size"].sum()
    for unit, whole in weights.items():
        share = float(chosen.get(unit, 0)) / float(whole)
        name = f"{NAME}.smallest.holds.{unit}"
        found[name] = Estimate(share, None, None, sites.told.nunique(), "fraction")
    return found


def _units(sites: pd.DataFrame) -> pd.Series:
    """By their names: `mlp.3`, `attention.0`, or what is outside the layers."""
    layers = "." + sites.layer.astype("string")
    return sites.component.where(sites.layer.isna(), sites.component + layers)


def _facts(part: pd.DataFrame) -> pd.Series:
    return part.groupby("fact").effect.mean()


def _by(table: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, part in table.groupby(keys, sort=False, dropna=False):
        yield tuple(None if one is None or one != one else one for one in key), part


def curves(tables: Tables, seed: int) -> dict[str, Estimate]:
    """Effects [nat] of the first k chosen sites, and of k at random where k is a power of two, put
    into the base; and of every rank of the differences. Absent where there is no such table."""
    found = {}
    use = derive_seed(seed, "report", NAME)
    for name, part in _along(tables):
        values = _facts(part).to_numpy(float)
        found[f"{NAME}.{name}"] = bootstrap_mean(values, "nat", seed=use)
    return found


def _along(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    sets = tables.get(f"mechanism/{NAME}_sets")
    if sets is not None:
        powers = sets.k.map(lambda k: int(k).bit_count() == 1)
        drawn = (sets.set == "random") & powers & (sets.asked == "told")
        chosen = (sets.set == "greedy") & sets.asked.isin(["told", "reverse"])
        keys = ["told", "set", "asked", "k"]
        for (told, kind, asked, k), part in sets[drawn | chosen].groupby(keys, sort=False):
            yield f"by_number.{told}.{kind}.{asked}.k{k}", part
    ranks = tables.get(f"mechanism/{NAME}_ranks")
    if ranks is not None:
        shown = ranks[(ranks.direction == "same") | (ranks.kept == "top")]
        keys = ["direction", "kept", "rank"]
        for (direction, kept, rank), part in shown.groupby(keys, sort=False):
            yield f"by_rank.{direction}.{kept}.r{rank}", part


def alone(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Of the parts moved alone, that which brings most as told, and that whose lack costs most."""
    found = {}
    for act, pick in (("given", max), ("taken", min)):
        start = f"{NAME}.{act}."
        same = [name for name in estimates if name.startswith(start) and name.endswith(".same")]
        if same:
            best = pick(same, key=lambda name: estimates[name].value or 0)
            site = best.removeprefix(start).removesuffix(".same")
            found[f"{NAME}.most_{act}.{site}"] = estimates[best]
    return found


def transplant_tests(tables: Tables) -> list[Test]:
    """Do few sites carry more than others at random? Do the largest singular directions carry more
    than others (of one draw)? Holm over all."""
    tests = []
    sets = tables.get(f"mechanism/{NAME}_sets")
    for told, mine in () if sets is None else sets.groupby("told", sort=False):
        kinds = kinds_of(mine)
        if "greedy" not in kinds:
            continue
        said = {
            kind: _facts(rows[rows.asked == "told"]).to_numpy(float) for kind, rows in kinds.items()
        }
        for kind in ("random", "as_large"):
            name = f"{NAME}.smallest.{told}.more_than_{kind}"
            ends = said["greedy"], said[kind]
            tests.append(paired_t(*ends, name=name, alternative="greater"))
    ranks = tables.get(f"mechanism/{NAME}_ranks")
    if ranks is not None:
        few = ranks[(ranks["rank"] == FEW) & (ranks.direction == "same")]
        if len(few):
            by_kept = few.pivot_table(index="fact", columns="kept", values="effect")
            top, drawn = (by_kept[kept].to_numpy(float) for kept in ("top", "random"))
            name = f"{NAME}.rank.top_more_than_random"
            tests.append(paired_t(top, drawn, name=name, alternative="greater"))
    return holm(tests)
