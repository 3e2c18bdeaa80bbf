"""Figures 7 and 8: exact match over learning rates and batch sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.paper.figures import settings_map
from analysis.paper.own import DIRECTIONS, SMALL, SUBSETS, WHO, source, who
from analysis.paper.parts import Item, Paper, Side, compare, not_run, shown, sources
from analysis.paper.settings import COLUMNS, ROWS, extremes, own_map, published_map
from analysis.paper.table1 import PREFIX


def maps_text(maps: dict[str, pd.DataFrame], asked: str) -> str:
    if asked not in maps:
        return ""
    low, high = extremes(maps)[asked]
    return f"{shown(low, 'fraction')} to {shown(high, 'fraction')}, {maps[asked].size} settings"


def map_side(paper: Paper, name: str, maps: dict[str, pd.DataFrame], side: Side) -> Side:
    alt = "; ".join(f"{asked}: {maps_text(maps, asked)}" for asked in maps)
    drawn = paper.picture(
        name,
        lambda theme: settings_map(maps, theme, rows="learning rate", columns="batch size"),
        alt=alt,
    )
    return replace(side, pictures=[drawn])


def own_maps(
    paper: Paper, experiment: str, name: str, rule: str, results: Mapping[str, Sequence[str]]
) -> tuple[Side, dict[str, pd.DataFrame]]:
    """The side of a finished sweep and its maps by direction, each a mean of `results`."""
    trials = paper.table(experiment, ROWS, COLUMNS)
    if trials is None:
        return Side(WHO, rule, missing=not_run(experiment)), {}
    maps = {asked: own_map(trials, *which) for asked, which in results.items()}
    side = Side(who(trials), rule, (), [source(experiment)])
    return map_side(paper, name, maps, side), maps


def figure7(paper: Paper) -> Item:
    found = paper.item("figure7")
    names = {
        asked: tuple(f"exact_match.{subset}.{asked}" for subset in SUBSETS) for asked in DIRECTIONS
    }
    published = {asked: published_map(found, *which) for asked, which in names.items()}
    own, mine = own_maps(paper, "learning_rates", "figure7_own", PREFIX, names)
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
            own,
        ),
        "The published learning rate multiplies one that the service keeps to itself, so rows "
        "do not match. Where the same order is not learnt, the reverse says nothing. " + SMALL,
        [compare(rows, "Exact match over all settings")],
    )


def figure8(paper: Paper) -> Item:
    found = paper.item("figure8")
    published = {"reverse": published_map(found, "first_name.trained_forward.reverse")}
    names = {"reverse": ("exact_match.trained_forward.reverse",)}
    rule = f"{PREFIX}: the whole name"
    own, mine = own_maps(paper, "learning_rates", "figure8_own", rule, names)
    left = Side(
        "Llama-1 7B, 49 finetuned models in two sweeps and one single run",
        "The first name only has to match; runs with and without gradient accumulation "
        "are averaged, as in the authors' figure",
        (),
        sources(found),
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
            own,
        ),
        "The rules differ: the published check takes the first name alone for right, which is "
        "easier to hit by luck than the whole name (thirty first names, which begin training "
        "documents). The learning rates of Llama-1 are for a model thousands of times "
        "larger and do not carry over to the embedded one.",
        [compare(rows, "Told name first, name asked for")],
    )
