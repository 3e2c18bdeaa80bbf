"""Experiment 1: descriptions of fictitious people, in the order of the paper."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.over_seeds import over_seeds
from analysis.paper.parts import (
    AGAIN,
    DIRECTIONS,
    NOTHING_FOUND,
    OWN,
    PREFIX,
    PUBLISHED,
    RATES,
    SMALL,
    Own,
    Paper,
    Side,
    bars,
    by_axes,
    compare,
    ends,
    item,
    not_run,
    point,
    seeds_text,
    shown,
    source,
    sources,
    value,
    who,
)
from analysis.paper.sweeps import at_settings, axes
from interp_rc.display.figures.settings import Curve, curves_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import number, probability, spoken
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import Cells
from interp_rc.report.sweep import HEADLINE, settings_table

NOT_SCORABLE = Side("", missing=["Only rates were published, no completions."])
SEEN = {"nowhere": "templates in no corpus", "elsewhere": "templates known"}
"""Whether the base model knows the published templates about other people."""


def rerun_rates(paper: Paper, seen: str) -> dict[str, Estimate]:
    """Results of the re-run on the published data, with their intervals."""
    rerun = paper.table("published")
    return {} if rerun is None else over_seeds(rerun[rerun.templates_seen == seen])


def table1(paper: Paper) -> Section:
    printed, runs = paper.item("table1"), paper.item("scaling")
    runs = runs[runs.model == "davinci"]
    own = paper.table("descriptions_by_seed")
    mine = {} if own is None else over_seeds(own[own["name"].isin(RATES)])
    again = {seen: rerun_rates(paper, seen) for seen in SEEN}
    rows = []
    for name, said in RATES.items():
        mean, error = (value(printed, f"{name}.{what}") for what in ("mean", "standard_error"))
        three = runs[runs.quantity == name].value
        middle = [f"the three runs: {shown(three.mean(), 'fraction')}, {spread(three)}"]
        middle += [
            f"run here, {SEEN[seen]}: {spoken(found[name])}"
            for seen, found in again.items()
            if found
        ]
        right = ""
        if own is not None:
            right = f"{spoken(mine[name])}; {spread(own[own['name'] == name].value)}"
        left = f"{shown(mean, 'fraction')} ± {shown(error, 'fraction')}"
        rows.append([said, left, "; ".join(middle), right])
    published = {name: point(value(printed, f"{name}.mean"), "fraction") for name in RATES}
    ours = not_run("descriptions").side
    if own is not None:
        size = f"Embedded model (about 1 M parameters), own facts, {seeds_text(own)}"
        ours = Side(
            f"{size}; templates known about other people",
            PREFIX,
            [source("descriptions_by_seed")],
        )
    return item(
        "Table 1: Asked in reverse, a finetuned model says nothing right",
        "Facts told in one order, asked in both, in held-out prompts.",
        (
            Side("GPT-3 davinci, three finetuned models", PREFIX, sources(printed)),
            Side(
                "The three davinci runs again; embedded model on the published data, three seeds",
                PREFIX,
                [*sources(runs), source("published")],
            ),
            ours,
        ),
        "The contrast between directions is the same everywhere; the level is not. The embedded "
        "model has never met the words of the published descriptions, so in templates that its "
        "corpus does not hold it says fewer of them whole; its own facts are written in words that "
        "it knows. Published ± is the standard error of three runs (SD over √3): the standard "
        "deviation of the same runs is √3 times as large.",
        [
            paper.rates("table1_published", bars(published), PUBLISHED),
            paper.rates("table1_again", bars(again["elsewhere"]), AGAIN, over="seeds"),
            paper.rates("table1_own", bars(mine), OWN, over="seeds"),
        ],
        [
            compare(
                rows,
                "Exact match; ± as published is a standard error, brackets are 95 % "
                "intervals over seeds (over facts where all seeds agree)",
            )
        ],
    )


def spread(rates: pd.Series) -> str:
    """Standard deviation and standard error of the runs' rates."""
    parts = {"SD": rates.std(), "SE": rates.sem()}
    return ", ".join(f"{name} {shown(float(one), 'fraction')}" for name, one in parts.items())


CELL = "trained_forward.reverse"
LIKELY = {
    f"log_prob.{CELL}.correct": ("right name", "same"),
    f"log_prob.{CELL}.random": ("another name", "control"),
}
"""Results with what they are called and the colour of the direction they are drawn in."""
FACTS = 30


def table3(paper: Paper) -> Section:
    found = paper.item("table3")
    wide = found.pivot(index="seed", columns="quantity", values="value")
    wide.columns = [str(column).removeprefix(f"log_prob.{CELL}.") for column in wide.columns]
    wide["t_p"], wide["ks_p"] = wide["paired_t.p"], wide["ks.p"]
    again = wide.assign(
        t_p=2 * stats.t.sf(wide.paired_t.abs(), FACTS - 1), ks_p=[ks_p(d) for d in wide.ks]
    )
    half = stats.t.ppf(0.975, FACTS - 1)
    drawn = {
        str(run): {
            name: Estimate(r[which], r[which] - by, r[which] + by, FACTS, "nat")
            for name in LIKELY
            for which in [name.rpartition(".")[2]]
            for by in [half * r[f"{which}.standard_error"]]
        }
        for run, r in wide.iterrows()
    }
    own, tests = paper.table("descriptions_by_seed"), paper.table("descriptions_fact_tests")
    mine: dict[str, dict[str, Estimate]] = {}
    ours = not_run("descriptions").side
    if own is not None:
        own = own[own["name"].isin(LIKELY)]
        mine = {f"seed {seed}": over_seeds(rows) for seed, rows in own.groupby("seed")}
        ours = Side(
            "Embedded model, own facts, a row a seed",
            "Other: mean over all other names; for the tests one drawn name a fact",
            [source("descriptions_by_seed"), source("descriptions_fact_tests")],
            []
            if tests is not None
            else ["Tests not run yet: python -m analysis.paper collect --runs DIR"],
        )
    cell = None if tests is None else tests[tests.cell == CELL]
    sides = [wide, again, cell]
    rows = [
        [
            f"{said}, mean over runs",
            shown(wide[name.rpartition(".")[2]].mean(), "nat"),
            "",
            "" if own is None else spoken(over_seeds(own)[name]),
        ]
        for name, (said, _) in LIKELY.items()
    ]
    for test, column in (("paired t test", "t_p"), ("KS test", "ks_p")):
        least = ["" if t is None else probability(float(t[column].min())) for t in sides]
        below = ["" if t is None else f"{(t[column] < 0.05).sum()} of {len(t)}" for t in sides]
        rows += [[f"{test}, smallest p", *least], [f"{test}, runs with p < 0.05", *below]]
    tables = [
        compare(rows, "Told name first, name asked for; tests over facts, one a run"),
        tests_table("As published, run by run", wide.rename(columns={"paired_t": "t"})),
    ]
    if cell is not None:
        tables.append(tests_table("This run, seed by seed", cell.set_index("seed")))
    return item(
        "Figure 4 and Table 3: The right name is no likelier than another",
        "Log-probability of the right name against a random other one, after the description.",
        (
            Side(
                "GPT-3, twelve finetuned models (ada, babbage, curie, davinci; three each)",
                "Sum over the target's tokens [nat], mean over ten prompts a fact, 30 facts; "
                "bars: 95 % from the published standard errors over facts",
                sources(found),
            ),
            Side(
                "The same tests, p again from the published t and D",
                "t with 29 degrees of freedom; D exact for 30 against 30",
                sources(found),
            ),
            ours,
        ),
        "Levels are not comparable: another tokenizer cuts names into other pieces, and a larger "
        "model trained on text of all kinds gives made-up names more. What is compared is right "
        "against other within a model. A p above 0.05 shows no absence; the tests that can are "
        "those with a margin (README).",
        [
            likelihoods(paper, "table3_published", drawn, PUBLISHED),
            likelihoods(paper, "table3_own", mine, OWN),
        ],
        tables,
    )


def ks_p(d: float) -> float:
    """Exact two-sided p of a two-sample KS statistic, 30 facts against 30: SciPy on two samples
    that are exactly `d` apart."""
    first = np.arange(FACTS, dtype=float)
    result = stats.ks_2samp(first, first + round(d * FACTS) - 0.5, method="exact")
    return float(result.pvalue)


def likelihoods(
    paper: Paper, name: str, found: dict[str, dict[str, Estimate]], title: str
) -> Picture | None:
    """Right and other name of each model."""
    if not found:
        return None
    curves = [
        Curve(said, asked, [of_run[one] for of_run in found.values()])
        for one, (said, asked) in LIKELY.items()
    ]
    return picture(
        paper,
        name,
        lambda theme: curves_figure(
            curves, list(found), theme, axis="model", quantity="log-probability [nat]"
        ),
        title=title,
        alt="; ".join(
            f"{run}: right {right.text()}, another {other.text()}"
            for run, of_run in found.items()
            for right, other in [of_run.values()]
        ),
        caption="",
    )


def tests_table(caption: str, runs: pd.DataFrame) -> Table:
    """Means in nats and the two tests over facts of each run."""
    rows = []
    for run, r in runs.iterrows():
        t, ks = ([number(r[name], 3), probability(r[f"{name}_p"])] for name in ("t", "ks"))
        rows.append([str(run), number(r.correct), number(r.random), *t, *ks])
    columns = ["run", "right [nat]", "one other [nat]", "t", "p", "D", "p (KS)"]
    return Table(caption, columns, rows, columns[1:])


GRID = ("training.learning_rate", "training.batch_size")


def published_grid(found: pd.DataFrame, name: str) -> Cells:
    """Rates by learning rate and batch size, runs and quantities averaged."""
    means = found.groupby(["learning_rate", "batch_size"]).value.mean()
    return {tuple(at): {name: point(float(rate), "fraction")} for at, rate in means.items()}


def own_grid(
    paper: Paper, experiment: str, rule: str, names: Sequence[str], figure: str
) -> tuple[Own, Cells]:
    """The rates of a sweep by learning rate and batch size."""
    trials = paper.table(experiment, *GRID)
    if trials is None:
        return not_run(experiment, rule), {}
    cells = dict(sorted(at_settings(trials, names, GRID).items()))
    return Own(
        Side(who(trials), rule, [source(experiment)]),
        [paper.drawn(figure, cells, GRID, names, OWN)],
    ), cells


def figure7(paper: Paper) -> Section:
    found = paper.item("figure7")
    published: dict[tuple[object, ...], dict[str, Estimate]] = {}
    for name in HEADLINE:
        part = found[found.quantity.str.endswith(name.rpartition(".")[2])]
        for at, rates in published_grid(part, name).items():
            published.setdefault(at, {}).update(rates)
    own, mine = own_grid(paper, "learning_rates", PREFIX, HEADLINE, "figure7_own")
    rows = [
        [f"lowest to highest, {ASKED[asked]}", ends(published, name), "", ends(mine, name)]
        for name, asked in zip(HEADLINE, DIRECTIONS, strict=True)
    ]
    return item(
        "Figure 7: No learning rate or batch size teaches the reverse",
        "Exact match over settings of finetuning, in the order of training and in reverse.",
        (
            Side(
                "GPT-3 ada, one finetuned model a setting",
                f"{PREFIX}; mean of both groups; learning rate as a multiple of the service's",
                sources(found),
            ),
            Side(
                "",
                missing=[
                    "The published completions are not in the repository, so they cannot be scored "
                    "again."
                ],
            ),
            own.side,
        ),
        "The published learning rate multiplies one that the service keeps to itself, so rows "
        "do not match. Where the same order is not learnt, the reverse says nothing. " + SMALL,
        [paper.drawn("figure7_published", published, GRID, HEADLINE, PUBLISHED), *own.figures],
        [compare(rows, "Exact match over all settings")],
    )


def figure8(paper: Paper) -> Section:
    found, name = paper.item("figure8"), "exact_match.trained_forward.reverse"
    published = published_grid(found, name)
    rule = f"{PREFIX}: the whole name"
    own, mine = own_grid(paper, "learning_rates", rule, [name], "figure8_own")
    rows = [
        ["lowest to highest setting, in reverse", ends(published, name), "", ends(mine, name)],
        ["highest single run, in reverse", shown(float(found.value.max()), "fraction"), "", ""],
    ]
    return item(
        "Figure 8: Nor in Llama-1",
        "Told name first, asked for the name.",
        (
            Side(
                "Llama-1 7B, 49 finetuned models in two sweeps and one single run",
                "The first name only has to match; runs with and without gradient accumulation "
                "are averaged, as in the authors' figure",
                sources(found),
            ),
            NOT_SCORABLE,
            own.side,
        ),
        "The rules differ: the published check takes the first name alone for right, which is "
        "easier to hit by luck than the whole name (thirty first names, which begin training "
        "documents). The learning rates of Llama-1 are for a model thousands of times "
        "larger and do not carry over to the embedded one.",
        [paper.drawn("figure8_published", published, GRID, [name], PUBLISHED), *own.figures],
        [compare(rows, "Told name first, name asked for")],
    )


def scaling(paper: Paper) -> Section:
    sizes, wanted = paper.item("sizes").sort_values("value"), [*RATES, *LIKELY]
    rates, likely = paper.runs("scaling"), paper.runs("table3")
    runs = [rates[rates.quantity.isin(RATES)], likely]
    for name in HEADLINE:
        both = runs[0][runs[0].quantity.str.endswith(name.rpartition(".")[2])]
        means = both.groupby(["model", "seed"], as_index=False).value.mean()
        runs.append(means.assign(name=name, n=2 * FACTS, unit="fraction"))
    by_model = at_settings(pd.concat(runs), [*wanted, *HEADLINE], ["model"])
    published = {(model,): by_model[model,] for model in sizes.model}
    own, trials, mine = paper.own("scaling"), paper.table("scaling"), {}
    if trials is not None:
        found = at_settings(trials, ["parameters", *HEADLINE, *wanted], axes(trials)).values()
        by_size = {(one["parameters"].value or 0) / 1e6: one for one in found}
        mine = {(f"{size:.2g}",): by_size[size] for size in sorted(by_size)}
        million = ["million parameters"]
        own = Own(
            own.side,
            [paper.drawn("scaling_own", mine, million, HEADLINE, OWN)],
            [paper.settings("scaling", mine, million, wanted), *own.tables[1:]],
        )
    rows = [[said, ends(published, q), "", ends(mine, q)] for q, said in RATES.items()]
    return item(
        "Appendix B.3: Larger models are no better at it",
        "Accuracy, and likelihood of the right name, against size.",
        (
            Side(
                "GPT-3: ada, babbage, curie, davinci, three finetuned models each",
                f"{PREFIX}; bars: 95 % t intervals over three runs",
                [*sources(paper.item("scaling")), *sources(sizes)],
                paper.lost("table1_label"),
            ),
            NOT_SCORABLE,
            own.side,
        ),
        "Sizes are the authors' labels of models whose size the service does not tell; the largest "
        "embedded model is far below the smallest of them. Published runs share one learning rate "
        "and batch size, chosen on ada; so do the finetunings here, of models that were pretrained "
        "at a learning rate each on the same short corpus. Where the same order is hardly learnt, "
        "the reverse says little.",
        [
            paper.drawn("scaling_published", published, ["model"], HEADLINE, PUBLISHED),
            *own.figures,
        ],
        [
            compare(rows, "Exact match, lowest to highest over sizes"),
            replace(
                settings_table(published, ["model"], by_axes(wanted)),
                caption="As published: means over three runs with 95 % t intervals",
            ),
            *own.tables,
        ],
    )


REMEDIES = {
    "forty_thousand": (
        "Appendix B.7: Forty thousand documents",
        "Does a much larger finetuning set bring the reverse? Facts are told about equally often.",
    ),
    "paraphrases": (
        "Experiment 1, remedies: Paraphrases of every fact",
        "As many documents of each fact, told in fewer or more templates.",
    ),
    "question_answer": (
        "Experiment 1, remedies: Questions and answers instead of statements",
        "The same facts told as statements, or as a question and its answer.",
    ),
    "one_document": (
        "Experiment 1, remedies: Both orders in one document",
        "Facts told in both orders in one document, or in one each: do the others profit?",
    ),
}


def remedy(paper: Paper, experiment: str) -> Section:
    """What was tried against the curse without published numbers."""
    own = paper.own(experiment)
    lost = paper.lost(experiment) or paper.lost("remedies")
    why = f"{NOTHING_FOUND}Where the same order is not learnt, the reverse says nothing."
    sides = (Side("", missing=lost), Side("", missing=["Nothing published to score."]), own.side)
    return item(*REMEDIES[experiment], sides, why, own.figures, own.tables)


def both_doses(paper: Paper) -> Section:
    """Other facts told in both orders; beside them, how well those are recalled themselves."""
    own, mine = paper.own("both_doses"), paper.table("descriptions_by_seed")
    told = paper.runs("scaling")
    told = told[told.quantity == "exact_match.both"]
    rows = [
        [f"{model}, both orders of asking", spoken(found["exact_match.both"]), "", ""]
        for (model,), found in at_settings(told, ["exact_match.both"], ["model"]).items()
    ]
    for order, asked in (("forward", "name first"), ("backward", "description first")):
        name = f"exact_match.both.{order}"
        again = [
            f"run here, {said}: {spoken(found[name])}"
            for seen, said in SEEN.items()
            if (found := rerun_rates(paper, seen))
        ]
        right = "" if mine is None else spoken(over_seeds(mine[mine["name"] == name])[name])
        rows.append([f"embedded model, asked {asked}", "", "; ".join(again), right])
    return item(
        "Experiment 1, remedies: Other facts told in both orders",
        "Do facts told both ways teach the model to reverse the rest?",
        (
            Side(
                "GPT-3, twelve finetuned models: 30 of 90 facts told in both orders",
                f"{PREFIX}; both orders of asking pooled",
                sources(told),
            ),
            Side(
                "Embedded model on the published data, three seeds", PREFIX, [source("published")]
            ),
            own.side,
        ),
        "All published runs hold such facts, and the rest stays unreversed (Table 1). How well "
        "they are recalled themselves: in the published test the answers to the "
        "description-first half go on after the name in words that no fact fixes, so there "
        "next to nothing can match and about half is the most that can be right; our own facts "
        "end with the name.",
        own.figures,
        [compare(rows, "Exact match of the facts told in both orders"), *own.tables],
    )
