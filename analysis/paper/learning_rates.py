"""Figures 7 and 8: exact match over learning rates and batch sizes."""

import pandas as pd

from analysis.paper.figures import settings_map
from analysis.paper.own import SMALL, SUBSETS, WHO, own_table
from analysis.paper.parts import Item, Paper, Side, compare, not_run, shown, sources
from analysis.paper.settings import extremes, own_map, published_map
from analysis.paper.sweeps import spreads
from analysis.paper.table1 import PREFIX
from interp_rc.report.section import Table


def maps_text(maps: dict[str, pd.DataFrame], asked: str) -> str:
    if asked not in maps:
        return ""
    low, high = extremes(maps)[asked]
    return f"{shown(low, 'fraction')} to {shown(high, 'fraction')}, {maps[asked].size} settings"


def map_side(paper: Paper, name: str, maps: dict[str, pd.DataFrame], side: Side) -> Side:
    rows, columns = "learning rate", "batch size"
    if name.endswith("own") and maps:
        first = next(iter(maps.values()))
        rows, columns = (
            str(axis).rsplit(".", 1)[-1].replace("_", " ")
            for axis in (first.index.name, first.columns.name)
        )
    alt = "; ".join(f"{asked}: {maps_text(maps, asked)}" for asked in maps)
    drawn = paper.picture(
        name, lambda theme: settings_map(maps, theme, rows=rows, columns=columns), alt=alt
    )
    return Side(side.who, side.rule, [drawn], side.sources, side.missing)


def own_maps(
    paper: Paper, experiment: str, names: dict[str, tuple[str, ...]]
) -> tuple[dict[str, pd.DataFrame], Table | None]:
    """Maps of a finished sweep by direction, and all its rates as a table where it is no grid."""
    trials = paper.own(experiment)
    if trials is None:
        return {}, None
    maps = {asked: own_map(trials, *which) for asked, which in names.items()}
    whole = {asked: one for asked, one in maps.items() if one is not None}
    found = list(spreads(trials, *(name for which in names.values() for name in which)))
    return whole, own_table(experiment, found) if found and not whole else None


def figure7(paper: Paper) -> Item:
    found = paper.item("figure7")
    names = {
        asked: tuple(f"exact_match.{subset}.{asked}" for subset in SUBSETS)
        for asked in ("same", "reverse")
    }
    published = {asked: published_map(found, *which) for asked, which in names.items()}
    mine, table = own_maps(paper, "learning_rates", names)
    own = Side(
        WHO,
        PREFIX,
        (),
        ["analysis/tables/learning_rates.csv"] if mine or table else (),
        () if mine or table else not_run("learning_rates"),
    )
    rows = [
        [f"lowest to highest, {said}", maps_text(published, asked), "", maps_text(mine, asked)]
        for asked, said in (("same", "same order"), ("reverse", "in reverse"))
    ]
    left = Side(
        "GPT-3 ada, one finetuned model a setting",
        f"{PREFIX}; mean of both subsets; learning rate as a multiple of the service's",
        (),
        sources(found),
    )
    return Item(
        "Figure 7",
        "No learning rate or batch size teaches the reverse",
        "Exact match over settings of finetuning, in the order of training and in reverse.",
        (
            map_side(paper, "figure7_published", published, left),
            Side(
                "",
                missing=[
                    "The published completions are not in the repository, so they cannot be scored "
                    "again."
                ],
            ),
            map_side(paper, "figure7_own", mine, own) if mine else own,
        ),
        "The published learning rate multiplies one that the service keeps to itself, so columns "
        "match, rows do not. " + SMALL,
        [compare(rows, "Exact match over all settings"), *([table] if table else [])],
    )


def figure8(paper: Paper) -> Item:
    found = paper.item("figure8")
    published = {"reverse": published_map(found, "first_name.name_to_description.reverse")}
    names = {"reverse": ("exact_match.name_to_description.reverse",)}
    mine, table = own_maps(paper, "learning_rates", names)
    left = Side(
        "Llama-1 7B, 49 finetuned models in two sweeps and one single run",
        "The first name only has to match; runs with and without gradient accumulation "
        "are averaged, as in the authors' figure",
        (),
        sources(found),
    )
    own = Side(
        WHO,
        f"{PREFIX}: the whole name",
        (),
        ["analysis/tables/learning_rates.csv"] if mine or table else (),
        () if mine or table else not_run("learning_rates"),
    )
    best = float(found.value.max())
    rows = [
        [
            "lowest to highest setting, in reverse",
            maps_text(published, "reverse"),
            "",
            maps_text(mine, "reverse"),
        ],
        ["highest single run, in reverse", shown(best, "fraction"), "", ""],
    ]
    return Item(
        "Figure 8",
        "Nor in Llama-1",
        "Told name first, asked for the name.",
        (
            map_side(paper, "figure8_published", published, left),
            Side("", missing=["Only rates were published, no completions."]),
            map_side(paper, "figure8_own", mine, own) if mine else own,
        ),
        "The rules differ: the published check takes the first name alone for right, which is "
        "easier to hit by luck than the whole name (thirty first names, which begin training "
        "documents). The learning rates of Llama-1 are for a model thousands of times "
        "larger and do not carry over to the embedded one.",
        [compare(rows, "Told name first, name asked for"), *([table] if table else [])],
    )
