"""The page's section on likelihood and on choice among candidates."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interp_rc.display.figures.rates import rates_figure
from interp_rc.display.rates import by_cell, described, in_directions, rates_of
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import in_nats, listed
from interp_rc.evaluation.candidate_scores import correct, corrected_scores, others, rank_of_correct
from interp_rc.evaluation.candidates import Scores, score_tensor
from interp_rc.evaluation.cells import cells
from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import CANDIDATES
from interp_rc.measures.behaviour.likelihood_figure import likelihood_figure
from interp_rc.measures.behaviour.ranks_figure import ranks_figure
from interp_rc.records.estimates import cell
from interp_rc.records.nouns import TOLD_IN
from interp_rc.records.runs import Measured, Run, evaluated


class Scored(NamedTuple):
    """One group asked in one direction or order; `corrected` is None without a base model."""

    group: str
    asked: str
    raw: Scores
    corrected: Scores | None


def section(run: Run, measured: Measured) -> Section:
    scored, name = read_scores(run), measured.roles.subject
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
            f"without saying it, and it may never say {name}s that it has not learnt to produce. "
            "So every target of the group is scored as a candidate after every prompt."
        ),
    )


def read_scores(run: Run) -> list[Scored]:
    """The scores of all candidates of all queries, in the order that figures show them."""
    table, queries = run.table(CANDIDATES), read_facts(run.facts).queries
    found = []
    for asked in cells(queries):
        rows = asked.rows(table)
        raw = score_tensor(evaluated(rows), asked.queries, "log_prob")
        corrected = corrected_scores(rows, asked.queries)
        found.append(Scored(asked.group, asked.asked, raw, corrected))
    return found


def sentence(measured: Measured) -> str:
    """Candidate accuracy by direction, in words."""
    rates = rates_of(measured, quantity="candidate_accuracy")
    told = in_directions(rates)
    if not told:
        return "No fact was told in one order only."
    chances = listed(sorted({f"{100 / rate.estimate.n:.1f} %" for rate in rates}))
    which = "Of all candidates, the right target is the most likely: "
    return f"{which}{told} of queries. Chance is {chances}."


def told_once(table: pd.DataFrame) -> pd.DataFrame:
    """The facts that have a direction, or all where none has."""
    rows = table[[TOLD_IN[group] is not None for group in table.group]]
    return table if rows.empty else rows


def shown_cells(table: pd.DataFrame, words: Words) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each group and direction in words, and as axes of its estimates."""
    for key in table[["group", "asked"]].drop_duplicates().itertuples(index=False):
        yield words.cell(*key), cell(*key)


def likelihood(run: Run, measured: Measured, scored: list[Scored]) -> Picture:
    """Prior-corrected where a base model stands beside, raw otherwise."""
    corrected = all(one.corrected is not None for one in scored)
    table = pd.concat(
        pd.DataFrame(
            {
                "group": one.group,
                "asked": one.asked,
                "right": correct(scores),
                "others": others(scores),
            }
        )
        for one in scored
        if (scores := one.corrected if corrected else one.raw) is not None
    )
    shown = told_once(table)
    quantity = "corrected log p" if corrected else "log p"
    name = "log_prob_corrected" if corrected else "log_prob"
    means = []
    words = Words(measured.roles)
    for told, of in shown_cells(shown, words):
        right, wrong = (
            measured.estimates.of(quantity=name, **of, target=target).value or 0.0
            for target in ("correct", "random")
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
                "group": one.group,
                "asked": one.asked,
                "rank": np.ravel(rank_of_correct(one.raw)),
                "candidates": len(one.raw),
            }
        )
        for one in scored
    )
    shown = told_once(table)
    words = Words(measured.roles)
    medians = "; ".join(
        f"{told}: median rank {middle.value:g} of {middle.n}"
        for told, of in shown_cells(shown, words)
        if (middle := measured.estimates.of(quantity="median_rank", **of)).value is not None
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
        for rate in rates_of(measured, quantity="candidate_accuracy")
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
    columns = {
        "right target": ("log_prob", "correct"),
        "other candidates": ("log_prob", "random"),
        "difference": ("log_prob", "difference"),
        "difference, corrected": ("log_prob_corrected", "difference"),
    }
    there = measured.estimates.each("quantity")
    names = [name for name, (quantity, _) in columns.items() if quantity in there]
    words = Words(measured.roles)
    rows = []
    for group, asked in by_cell(measured, quantity="exact_match"):
        found = [
            measured.estimates.find(quantity=quantity, **cell(group, asked), target=target)
            for quantity, target in map(columns.__getitem__, names)
        ]
        told = [words.told(group), words.asked(asked)]
        rows.append([*told, *("" if e is None else in_nats(e) for e in found)])
    return Table(
        "Log-probability of whole targets in nats, summed over tokens; 95 % intervals over facts",
        ["facts", "asked", *names],
        rows,
        names,
    )
