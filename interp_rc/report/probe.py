"""The page's section on whether B's representation gained A, by probes."""

from itertools import product

import pandas as pd

from interp_rc.figures.profile import Line, Panel, profile_figure
from interp_rc.mechanism.probe import TABLE
from interp_rc.mechanism.reading import EVERYWHERE, Position
from interp_rc.records.nouns import OF_PEOPLE, ORDERS, TOLD_IN, TOLD_OTHERWISE, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.records.seeds import derive_seed
from interp_rc.report.section import Picture, Section, Table, picture
from interp_rc.report.wording import TIE, spoken
from interp_rc.stats.intervals import bootstrap_mean

SOUGHT = {"forward": "the description", "backward": "the name"}
READ = {"forward": "the name", "backward": "the description"}
PLACE: dict[Position, str] = {
    "source_first": "at its start",
    "source_last": "at the entity",
    "source_mean": "over its tokens",
    "prompt_last": "at the answer",
}
COLUMNS = ["sought", "told", "probe", "lens", "gain [SD]", "shuffled", "untrained"]


def section(run: Run, measured: Measured) -> Section:
    return Section(
        title="Did one entity’s representation gain the other?",
        sentence=sentence(measured),
        figures=[by_layer(run, measured)],
        tables=[numbers(run, measured)],
        note=(
            "A linear map from the residual stream to the other entity’s output vector, trained "
            "on facts told in that order or in both and read on facts that it was not trained "
            "on; the right one of all entities of the subset must come first. The logit lens "
            "reads the same stream with the model’s own output rows: a probe that gains nothing "
            "over it re-reads what the model is about to say. The layer is chosen on other facts."
        ),
    )


def sentence(measured: Measured) -> str:
    """Where the answer begins: the reverse-told facts, the control, and the shuffled floor."""
    parts = []
    for order in reversed(ORDERS):
        reverse, both, floor = (
            measured.estimates[f"probe.{model}.{order}.{subset}.prompt_last.accuracy"]
            for model, subset in (
                ("finetuned", TOLD_OTHERWISE[order]),
                ("finetuned", "both"),
                ("shuffled", "both"),
            )
        )
        parts.append(
            f"where {READ[order]} is read, a probe finds {SOUGHT[order]} of facts told the other "
            f"way in {spoken(reverse)}, of facts told in both orders in {spoken(both)} "
            f"(with shuffled labels {spoken(floor)})"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def told(subset: Subset, order: Order) -> tuple[str, str]:
    """How facts of the subset were told, seen from the order, and the direction of asking."""
    if TOLD_IN[subset] is None:
        return "told in both orders", "both"
    return (
        ("told this way", "same") if TOLD_IN[subset] == order else ("told the other way", "reverse")
    )


def by_layer(run: Run, measured: Measured) -> Picture:
    table, seed = run.table(TABLE), derive_seed(run.config()["seed"], "report", "probe")
    rows = table[(table.model == "finetuned") & (table.labels == "true")]
    panels = [
        panel(rows[(rows.order == order) & (rows.position == position)], order, position, seed)
        for position in looked_at(rows)
        for order in reversed(ORDERS)
    ]
    layers = [str(layer) for layer in sorted(rows.layer.unique())]
    return picture(
        run,
        "probe",
        lambda theme: profile_figure(panels, layers, theme, quantity="found [%]", scale=100),
        title="",
        alt=f"Probe accuracy by layer. {sentence(measured)}",
        caption=(
            "Share of facts whose other entity is found, by the number of layers that the stream "
            "has passed (0: the embedding). Left: the name where the description is read; right: "
            "the description where the name is read; the upper panels where the answer begins, "
            "the lower ones at the entity that is read (its last token, its first or all of "
            "them). Solid: probe, with 95 % intervals over facts; dashed: logit lens at the same "
            "place; dotted: chance."
        ),
    )


def panel(rows: pd.DataFrame, order: Order, position: Position, seed: int) -> Panel:
    lines = []
    for subset in sorted(OF_PEOPLE, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(subset, order)
        part = rows[rows.subset == subset]
        for column, faint in (("right", False), ("lens_right", True)):
            estimates = [_rate(layer[column], seed) for _, layer in part.groupby("layer")]
            lines.append(Line(f"{label}, lens" if faint else label, asked, estimates, faint))
    facts = rows[rows.subset == "both"].fact.nunique()
    title = f"{SOUGHT[order].removeprefix('the ')}, {PLACE[position]}"
    return Panel(title, lines, 1 / facts)


def _rate(values: "pd.Series[float]", seed: int) -> Estimate:
    return bootstrap_mean(values.to_numpy(float), "fraction", seed=seed, draws=2000)


def looked_at(rows: pd.DataFrame) -> list[Position]:
    """Where the answer begins first."""
    there = set(rows.position)
    return [position for position in reversed(EVERYWHERE) if position in there]


def numbers(run: Run, measured: Measured) -> Table:
    """Percent with intervals; the gain in standard deviations of the candidates' scores."""
    rows = []
    positions = looked_at(run.table(TABLE))
    for order, position, subset in product(reversed(ORDERS), positions, OF_PEOPLE):
        place = f"{order}.{subset}.{position}"
        cells = [
            measured.estimates[f"probe.{model}.{place}.{what}"]
            for model, what in (
                ("finetuned", "accuracy"),
                ("finetuned", "lens"),
                ("finetuned", "z_gain"),
                ("shuffled", "accuracy"),
                ("untrained", "accuracy"),
            )
        ]
        sought = f"{SOUGHT[order].removeprefix('the ')}, {PLACE[position]}"
        rows.append([sought, told(subset, order)[0], *map(plain, cells)])
    return Table("Probes at the chosen layer: found [%]", COLUMNS, rows, COLUMNS[2:])


def plain(estimate: Estimate) -> str:
    """Value and interval without the unit, which the column names."""
    return spoken(estimate).replace(f"{TIE}%", "").replace(f"{TIE}standard{TIE}deviation", "")
