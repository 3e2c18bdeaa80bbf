"""Experiment 2, parents and children: Figure 5, and what the released code sums."""

from collections.abc import Sequence

import pandas as pd

from analysis.paper import parent_tables, released_span
from analysis.paper.parts import (
    AGAIN,
    OWN,
    PUBLISHED,
    Paper,
    Side,
    compare,
    item,
    point,
    shown,
    source,
    sources,
    value,
)
from interp_rc.display.figures.parents import ModelRates, parents_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import TIE, in_nats, number, probability, spoken
from interp_rc.evaluation.parents.rates import POINTS
from interp_rc.records.numbers import Estimate
from interp_rc.report.parent_tables import NOTES

LABELS = {"parent_child_pairs": "GPT-4", "llama-7b": "Llama-1 7B"}
"""Where a table's name says too little."""
QUESTIONS = 2000
"""Mother and father of each of 1,000 celebrities."""
NAMED = ("parent", "child")
RULE = "As released: any line of ten responses (GPT-4), share of lines (gpt-3.5-turbo), probability"
NO_MODEL = [
    "Not run: no model that knows real people could be fetched where these tables were made. "
    "Ask any model or API, then: python -m analysis.paper collect --parents-here FOLDER"
]
NOT_AT_HAND = [
    "Not scored here: davinci and llama-65b, whose tables are in the repository "
    "(data/celebrity_relations @ 0250bd7), and llama-30b. interp-rc parents score does it."
]
WHY = (
    "79 % and 33 % have different denominators. GPT-4's answer to a question for a parent was kept "
    "if it had the form of a name, right or not; 79 % is the share that was kept, and among the "
    "pairs that were kept the parent's rate is 100 % by construction. 1,573 pairs are a join: the "
    "file has 1,513 rows, two pairs come twice, and in a join of five tables on child, parent and "
    "type each of them comes 2⁵ = 32 times. The rules differ, too. GPT-4's child counts if any "
    "line of ten samples begins with the name, that of gpt-3.5-turbo by the share of lines; under "
    "one rule (at least one of ten) the latter is about half as high again. Completion models "
    "were shown six pairs before each question, three of which are among the pairs that are "
    "evaluated, and only questions for a parent begin with “Q: ” as those examples do: the two "
    "directions are not asked alike. The log-probabilities of Llama-1 are not those of the names: "
    "see the next item."
)


def figure5(paper: Paper) -> Section:
    printed = paper.item("experiment2")
    tables = [paper.table(name) for name in (parent_tables.PUBLISHED, parent_tables.HERE)]
    rows, wide = [], []
    for column, table in enumerate(tables, 2):
        for model, part in models(table):
            for named in NAMED:
                row = [f"{model}, {named} named", "", "", ""]
                row[column] = counted_text(part, named)
                if model == "GPT-4" and column == 2:
                    row[1] = shown(value(printed, f"named.{named}"), "fraction")
                rows.append(row)
            wide += type_rows(model, part)
    again, own = tables
    parent, child = (point(value(printed, f"named.{named}"), "fraction") for named in NAMED)
    gpt4 = ModelRates("GPT-4", parent, child, "of questions; of the pairs so found")
    return item(
        "Figure 5: Parents are named, their children are not",
        "“Who is A’s mother?” and “Name a child of B.”, of celebrities and their parents.",
        (
            Side(
                "GPT-4",
                "Parent: answers in the form of a name; child: any line of ten samples",
                sources(printed),
                paper.lost("figure5"),
            ),
            Side("", missing=no_tables("--parents"))
            if again is None
            else Side(
                "The published tables, scored again.",
                RULE,
                [source(parent_tables.PUBLISHED)],
                NOT_AT_HAND,
            ),
            Side("Models asked here.", missing=NO_MODEL)
            if own is None
            else Side(
                "Models asked here", "As the table of each model says", [source(parent_tables.HERE)]
            ),
        ),
        WHY,
        [
            drawn(paper, "figure5_published", [gpt4], PUBLISHED, over=""),
            drawn(paper, "figure5_again", model_rates(again), AGAIN),
            drawn(paper, "figure5_own", model_rates(own), OWN),
        ],
        [
            compare(rows, "Rates of all rows, with 95 % intervals over children, then as counted"),
            Table(
                "All rows by type of parent; p of the paired test, signs flipped child by child",
                ["model", "type", "pairs", *NAMED, "difference [points]", "p"],
                wide,
                ["pairs", "p"],
            ),
        ],
    )


def models(table: pd.DataFrame | None) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each model by way of counting and type of parent."""
    return [
        (LABELS.get(str(model), str(model)), rows.set_index(["counted", "parent_type"]))
        for model, rows in ([] if table is None else table.groupby("model", sort=False))
    ]


def estimate(part: pd.DataFrame, at: tuple[str, str], name: str) -> Estimate | None:
    """A rate (as a fraction) or difference of a collected table; null where it has none."""
    row = part.loc[at]
    if pd.isna(row[name]):
        return None
    scale, unit = (1.0, POINTS) if name == "difference" else (0.01, "fraction")
    found, low, high = (
        None if pd.isna(row[key]) else float(scale * row[key])
        for key in (name, f"{name}_low", f"{name}_high")
    )
    return Estimate(found, low, high, int(row.children), unit)


def counted_text(part: pd.DataFrame, named: str) -> str:
    """All rows, as joined, and by the other rule, if there are samples."""
    whole = estimate(part, ("all", "all"), named)
    pairs = {counted: int(part.pairs[counted, "all"]) for counted in ("all", "joined")}
    if whole is None:
        parts = [
            f"{count:,} pairs of {QUESTIONS:,} questions: {100 * count / QUESTIONS:.2f}{TIE}%"
            for count in dict.fromkeys(pairs.values())
        ]
        return "; ".join([f"100{TIE}% by construction", *parts])
    parts = [f"{pairs['all']:,} pairs: {spoken(whole)}"]
    joined = estimate(part, ("joined", "all"), named)
    if joined is not None and pairs["joined"] != pairs["all"]:
        parts.append(f"joined, {pairs['joined']:,}: {spoken(joined)}")
    some = estimate(part, ("all", "all"), f"any_{named}")
    if some is not None:
        parts.append(f"at least one sample: {spoken(some)}")
    return "; ".join(parts)


def type_rows(model: str, part: pd.DataFrame) -> list[list[str]]:
    rows = []
    for at in [("all", which) for which in ("all", "mother", "father")]:
        if at not in part.index:
            continue
        both = [estimate(part, at, named) for named in NAMED]
        difference = estimate(part, at, "difference")
        rows.append(
            [
                model,
                at[1],
                f"{int(part.pairs[at]):,}",
                *("by construction" if one is None else spoken(one) for one in both),
                in_nats(difference) if difference else "",
                probability(None if difference is None else float(part.p[at])),
            ]
        )
    return rows


def no_tables(option: str) -> list[str]:
    return [f"Not collected: python -m analysis.paper collect {option} FOLDER"]


def model_rates(table: pd.DataFrame | None) -> list[ModelRates]:
    rows = []
    for model, part in models(table):
        parent, child = (estimate(part, ("all", "all"), named) for named in NAMED)
        assert child is not None
        rows.append(ModelRates(model, parent, child, NOTES[part.kind.iloc[0]]))
    return rows


def drawn(
    paper: Paper, name: str, rows: Sequence[ModelRates], title: str, over: str = "children"
) -> Picture | None:
    if not rows:
        return None
    alt = "; ".join(
        f"{row.model}: parent {row.parent.text() if row.parent else 'by construction'}, "
        f"child {row.child.text()}"
        for row in rows
    )
    return picture(
        paper,
        name,
        lambda theme: parents_figure(rows, theme, over=over),
        title=title,
        alt=alt,
        caption="",
    )


PADDED = {"none": "alone", "right": "padded on the right", "left": "padded on the left"}


def released_sums(paper: Paper) -> Section:
    table = paper.table(released_span.NAME)
    repeated = f"{parent_tables.PUBLISHED}_repeated"
    twice, own, tables = paper.table(repeated), Side("", missing=no_tables("--span")), []
    if table is not None:
        own = Side(
            "Embedded model, finetuned on own facts, asked about them; one seed",
            "The released sum less the right one",
            [source(released_span.NAME)],
        )
        tables.append(span_rows(table))
    said = [
        f"{LABELS[row.model]}: {row.pairs_differing} of the {row.pairs_repeated} pairs that come "
        "twice have other log-probabilities the second time, though the question is the same: by "
        f"up to {number(row.parent_difference, 1)} nat (parent) and "
        f"{number(row.child_difference, 1)} nat (child)."
        for row in ([] if twice is None else twice[twice.unit == "nat"].itertuples())
    ]
    return item(
        "Figure 5, Llama-1: What was summed as a name’s log-probability",
        "The released span of tokens beside the tokens of the target.",
        (
            Side("Llama-1.", missing=paper.lost("figure5_span")),
            Side("The table of llama-7b.", "", [source(repeated)], said or no_tables("--parents")),
            own,
        ),
        "Prompts and targets were padded together, twenty at a time. The released span begins "
        "where more letters have been read than the prompt has, those of the begin-of-text token "
        "(and of padding on the left) counted, and leaves out the last column. Alone, or as the "
        "longest of its batch, a target is summed without its last token; any other row has its "
        "last token and nearly all of its padding summed, too, or, padded on the left, much of "
        "its prompt. So the sum depends on what else was in the batch. Which side the authors "
        "padded on, and how far their rates moved, cannot be told without the model.",
        tables=tables,
    )


def span_rows(table: pd.DataFrame) -> Table:
    rows = []
    for row in table.itertuples():
        mean = Estimate(row.value, row.low, row.high, row.n, row.unit)
        group, _, asked = row.asked.partition(".")
        rows.append(
            [
                f"{Words().told(group)}, {Words().asked(asked)}",
                PADDED[row.padding],
                number(row.right),
                number(row.released),
                spoken(mean),
                f"{number(100 * row.share_differing, 1)}{TIE}%",
            ]
        )
    columns = ["asked", "text", "right sum", "released sum", "difference", "rows that differ"]
    caption = (
        "Log-probability of the target in nats, means over prompts: right, and as the released "
        "code sums it; the difference with its 95 % interval over facts"
    )
    return Table(caption, columns, rows, columns[2:])
