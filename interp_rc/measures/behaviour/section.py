"""The page's section on likelihood and on choice among candidates."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from interp_rc.display.figures.rates import rates_figure
from interp_rc.display.lookup import look_up
from interp_rc.display.rates import described, rates_by_cell, rates_of
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.vocabulary import cells as named_cells
from interp_rc.display.wording import in_nats, listed, spoken
from interp_rc.evaluation.candidate_scores import correct, corrected_scores, others, rank_of_correct
from interp_rc.evaluation.candidates import Scores, score_tensor
from interp_rc.evaluation.cells import cells
from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import CANDIDATES
from interp_rc.measures.behaviour.likelihood_figure import likelihood_figure
from interp_rc.measures.behaviour.ranks_figure import ranks_figure
from interp_rc.records.nouns import TOLD_IN, Query
from interp_rc.records.runs import Measured, Run, evaluated


class Scored(NamedTuple):
    """One subset asked in one direction or order; `corrected` is None without a base model."""

    subset: str
    asked: str
    raw: Scores
    corrected: Scores | None


def section(run: Run, measured: Measured) -> Section:
    scored = read_scores(run)
    return Section(
        title="What it prefers when it must choose",
        sentence=sentence(measured),
        figures=[
            likelihood(run, measured, scored),
            ranks(run, measured, scored),
            accuracy(run, measured),
        ],
        tables=[numbers(measured)],
        note=(
            "Exact match alone hides two things: a model may lean towards the right target "
            "without saying it, and it may never say names that it has not learnt to produce. So "
            "every target of the subset is scored as a candidate after every prompt."
        ),
    )


def read_scores(run: Run) -> list[Scored]:
    """The scores of all candidates of all queries, in the order that figures show them."""
    table, queries = run.table(CANDIDATES), read_facts(run.facts).queries
    asked = {cell.name: cell.queries for cell in cells(queries)}
    return [
        _scored(table, subset, direction, asked[f"{subset}.{direction}"])
        for subset, direction in named_cells(set(asked))
    ]


def _scored(table: pd.DataFrame, subset: str, asked: str, queries: list[Query]) -> Scored:
    rows = table[table["query"].isin([query.id for query in queries])]
    raw = score_tensor(evaluated(rows), queries, "log_prob")
    return Scored(subset, asked, raw, corrected_scores(rows, queries))


def sentence(measured: Measured) -> str:
    """Candidate accuracy by direction, in words."""
    rates = rates_of("candidate_accuracy", measured)
    parts = []
    for asked, words in (("same", "asked in the same order, in"), ("reverse", "in reverse, in")):
        found = [f"{spoken(r.estimate)} ({r.group})" for r in rates if r.asked == asked]
        if found:
            parts.append(f"{words} {listed(found)}")
    if not parts:
        return "No fact was told in one order only."
    chances = listed(sorted({f"{100 / rate.estimate.n:.1f} %" for rate in rates}))
    which = "Of all candidates, the right target is the most likely: "
    return f"{which}{'; '.join(parts)} of queries. Chance is {chances}."


def told_once(table: pd.DataFrame) -> pd.DataFrame:
    """The facts that have a direction, or all where none has."""
    rows = table[[TOLD_IN[subset] is not None for subset in table.subset]]
    return table if rows.empty else rows


def by_cell(table: pd.DataFrame, words: Words) -> Iterator[tuple[str, str]]:
    """Each subset and direction in words, and as results name it."""
    for subset, asked in table[["subset", "asked"]].drop_duplicates().itertuples(index=False):
        yield f"{words.told(subset)}, asked {words.asked(asked)}", f"{subset}.{asked}"


def likelihood(run: Run, measured: Measured, scored: list[Scored]) -> Picture:
    """Prior-corrected where a base model stands beside, raw otherwise."""
    corrected = all(cell.corrected is not None for cell in scored)
    table = pd.concat(
        pd.DataFrame(
            {
                "subset": cell.subset,
                "asked": cell.asked,
                "right": correct(scores),
                "others": others(scores),
            }
        )
        for cell in scored
        if (scores := cell.corrected if corrected else cell.raw) is not None
    )
    shown = told_once(table)
    quantity = "corrected log p" if corrected else "log p"
    start = "log_prob_corrected" if corrected else "log_prob"
    means = []
    words = Words(measured.roles)
    for told, cell in by_cell(shown, words):
        right, wrong = (
            look_up(measured, f"{start}.{cell}.{of}").value or 0.0 for of in ("correct", "random")
        )
        means.append(f"{told}: right target {right:.1f} nat, others {wrong:.1f} nat")
    return picture(
        run,
        "likelihood",
        lambda theme: likelihood_figure(shown, theme, words, quantity=quantity),
        title="Likelihood",
        alt=f"Histograms over facts of {quantity}; means: {'; '.join(means)}.",
        caption=likelihood_caption(corrected),
    )


def likelihood_caption(corrected: bool) -> str:
    text = (
        "Each fact counts once in each histogram, with the mean over its prompts. Filled: the "
        "right target; outlined: the mean of the other candidates. Apart: the model knows which "
        "target belongs to the prompt. Overlapping: it does not."
    )
    if corrected:
        return text + (
            " Corrected: each candidate's log-probability, less that after a neutral prompt, less "
            "the same difference under the base model, so 0 means that finetuning tied nothing to "
            "this prompt."
        )
    return text + " Not corrected for how likely each candidate is by itself: no base model here."


def ranks(run: Run, measured: Measured, scored: list[Scored]) -> Picture:
    table = pd.concat(
        pd.DataFrame(
            {
                "subset": cell.subset,
                "asked": cell.asked,
                "rank": np.ravel(rank_of_correct(cell.raw)),
                "candidates": len(cell.raw),
            }
        )
        for cell in scored
    )
    shown = told_once(table)
    words = Words(measured.roles)
    medians = "; ".join(
        f"{told}: median rank {middle.value:g} of {middle.n}"
        for told, cell in by_cell(shown, words)
        if (middle := look_up(measured, f"rank.{cell}.median")).value is not None
    )
    return picture(
        run,
        "ranks",
        lambda theme: ranks_figure(shown, theme, words),
        title="Rank of the right candidate",
        alt=f"Cumulative share of queries by rank of the right candidate; {medians}.",
        caption=(
            "All candidates of a query are ranked by log-probability. A curve that starts high "
            "finds the right one at once; one along the dashed line picks blindly."
        ),
    )


def accuracy(run: Run, measured: Measured) -> Picture:
    rates = [
        replace(rate, chance=1 / rate.estimate.n)
        for rate in rates_of("candidate_accuracy", measured)
    ]
    return picture(
        run,
        "candidate_accuracy",
        lambda theme: rates_figure(rates, theme, quantity="right one ranked first"),
        title="Accuracy among the candidates",
        alt="Accuracy among candidates with 95 % intervals. " + described(rates),
        caption=(
            "How often the right target is the most likely of all candidates. Dashed: chance, "
            "one over the number of candidates. Lines: 95 % interval over facts."
        ),
    )


def numbers(measured: Measured) -> Table:
    """Raw and corrected differences between the right target and the others, in nats."""
    columns = ["log_prob.{}.correct", "log_prob.{}.random", "log_prob.{}.difference"]
    names = ["right target", "other candidates", "difference"]
    if any(name.startswith("log_prob_corrected.") for name in measured.estimates):
        columns.append("log_prob_corrected.{}.difference")
        names.append("difference, corrected")
    rows = []
    for cell, rate in rates_by_cell("exact_match", measured).items():
        found = [measured.estimates.get(column.format(cell)) for column in columns]
        rows.append([rate.group, rate.label, *("" if e is None else in_nats(e) for e in found)])
    return Table(
        "Log-probability of whole targets in nats, summed over tokens; 95 % intervals over facts",
        ["facts", "asked", *names],
        rows,
        names,
    )
