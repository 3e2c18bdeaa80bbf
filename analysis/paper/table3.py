"""Figure 4 and Table 3: the right name against a random other, with the paper's tests."""

import numpy as np
import pandas as pd
from scipy import stats

from analysis.over_seeds import over_seeds
from analysis.paper.figures import pairs
from analysis.paper.own import WHO, source
from analysis.paper.parts import Item, Paper, Side, compare, not_run, point, shown, sources
from interp_rc.display.section import Table
from interp_rc.display.wording import number, probability, spoken
from interp_rc.records.numbers import Estimate

CELL = "trained_forward.reverse"
FACTS = 30


def table3(paper: Paper) -> Item:
    found = paper.item("table3")
    wide = found.pivot(index="seed", columns="quantity", values="value")
    wide.columns = [str(c).removeprefix(f"log_prob.{CELL}.") for c in wide.columns]
    wide["t_again"] = 2 * stats.t.sf(wide.paired_t.abs(), FACTS - 1)
    wide["ks_again"] = [ks_p(d) for d in wide.ks]
    half = stats.t.ppf(0.975, FACTS - 1)
    drawn = [
        (
            str(run),
            *(
                Estimate(
                    r[w],
                    r[w] - half * r[f"{w}.standard_error"],
                    r[w] + half * r[f"{w}.standard_error"],
                    FACTS,
                    "nat",
                )
                for w in ("correct", "random")
            ),
        )
        for run, r in wide.iterrows()
    ]
    own, tests = paper.table("descriptions_by_seed"), paper.table("descriptions_fact_tests")
    mine = own_pairs(own)
    cell = None if tests is None else tests[tests.cell == CELL]
    rows = [
        ["right name, mean over runs", shown(wide.correct.mean(), "nat"), "", mean_text(mine, 1)],
        ["other name, mean over runs", shown(wide.random.mean(), "nat"), "", mean_text(mine, 2)],
        [
            "paired t test, smallest p",
            probability(float(wide["paired_t.p"].min())),
            f"from t: {probability(float(wide.t_again.min()))}",
            "" if cell is None else probability(float(cell.t_p.min())),
        ],
        [
            "KS test, smallest p",
            probability(float(wide["ks.p"].min())),
            f"from D: {probability(float(wide.ks_again.min()))}",
            "" if cell is None else probability(float(cell.ks_p.min())),
        ],
        [
            "runs with p < 0.05, t and KS",
            counts(wide["paired_t.p"], wide["ks.p"]),
            counts(wide.t_again, wide.ks_again),
            "" if cell is None else counts(cell.t_p, cell.ks_p),
        ],
    ]
    tables = [
        compare(rows, "Told name first, name asked for; tests over facts, one a run"),
        runs_table(wide),
    ]
    if cell is not None:
        tables.append(own_tests_table(cell))
    missing = (
        []
        if cell is not None
        else ["Tests not run yet: python -m analysis.paper collect --runs runs/descriptions_seeds"]
    )
    files = [source("descriptions_by_seed")]
    files += [source("descriptions_fact_tests")] if cell is not None else []
    alt = "Right and other name of each run: " + "; ".join(
        f"{run} {right.value:.1f} and {other.value:.1f} nat" for run, right, other in drawn
    )
    return Item(
        "Figure 4 and Table 3",
        "The right name is no likelier than another",
        "Log-probability of the right name against a random other one, after the description.",
        (
            Side(
                "GPT-3, twelve finetuned models (ada, babbage, curie, davinci; three each)",
                "Sum over the target's tokens [nat], mean over ten prompts a fact, 30 facts; "
                "bars: 95 % from the published standard errors over facts",
                [paper.picture("table3_published", lambda theme: pairs(drawn, theme), alt=alt)],
                sources(found),
            ),
            Side(
                "The same tests, p again from the published t and D",
                "t with 29 degrees of freedom; D exact for 30 against 30",
                (),
                sources(found),
            ),
            Side(
                f"{WHO}, a row a seed",
                "Other: mean over all other names; for the tests one drawn name a fact",
                [
                    paper.picture(
                        "table3_own",
                        lambda theme: pairs(mine, theme),
                        alt="Right and other names of each seed",
                    )
                ]
                if mine
                else (),
                files if mine else (),
                missing if mine else not_run("descriptions"),
            ),
        ),
        "Levels are not comparable: another tokenizer cuts names into other pieces, and a larger "
        "model trained on text of all kinds gives made-up names more. What is compared is right "
        "against other within a model. A p above 0.05 shows no absence; the tests that can are "
        "those with a margin (README).",
        tables,
    )


def ks_p(d: float) -> float:
    """Exact two-sided p of a two-sample KS statistic, 30 facts against 30: SciPy on two samples
    that are exactly `d` apart."""
    first = np.arange(FACTS, dtype=float)
    result = stats.ks_2samp(first, first + round(d * FACTS) - 0.5, method="exact")
    return float(result.pvalue)


def own_pairs(own: pd.DataFrame | None) -> list[tuple[str, Estimate, Estimate]]:
    if own is None:
        return []
    names = [f"log_prob.{CELL}.{which}" for which in ("correct", "random")]
    wide = own[own["name"].isin(names)].pivot_table(index="seed", columns="name", values="value")
    return [
        (f"seed {seed}", point(row[names[0]], "nat"), point(row[names[1]], "nat"))
        for seed, row in wide.iterrows()
    ]


def mean_text(mine: list[tuple[str, Estimate, Estimate]], which: int) -> str:
    if not mine:
        return ""
    values = [row[which].value for row in mine]
    table = pd.DataFrame({"name": "x", "value": values, "n": 1, "unit": "nat"})
    return spoken(over_seeds(table)["x"])


def counts(t: pd.Series, ks: pd.Series) -> str:
    return f"{int((t < 0.05).sum())} and {int((ks < 0.05).sum())} of {len(t)}"


def runs_table(wide: pd.DataFrame) -> Table:
    rows = [
        [
            str(run),
            number(r.correct),
            number(r.random),
            number(r.paired_t, 3),
            probability(r["paired_t.p"]),
            probability(r.t_again),
            number(r.ks, 3),
            probability(r["ks.p"]),
            probability(r.ks_again),
        ]
        for run, r in wide.iterrows()
    ]
    columns = ["run", "right [nat]", "other [nat]", "t", "p", "p again", "D", "p (KS)", "p again"]
    return Table("As published, run by run", columns, rows, columns[1:])


def own_tests_table(cell: pd.DataFrame) -> Table:
    rows = [
        [
            f"seed {int(r.seed)}",
            number(r.correct),
            number(r.random),
            number(r.t, 3),
            probability(r.t_p),
            number(r.ks, 3),
            probability(r.ks_p),
        ]
        for r in cell.itertuples()
    ]
    columns = ["run", "right [nat]", "one other [nat]", "t", "p", "D", "p (KS)"]
    return Table("This run, seed by seed: tests over facts", columns, rows, columns[1:])
