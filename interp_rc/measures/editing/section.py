"""The page's section on facts edited by hand, and on whether locating tells where to edit."""

from interp_rc.display.figures.effect_points import Point, effect_points_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.lookup import by_layers
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import number, opposite, spoken
from interp_rc.measures.editing.estimates import (
    BOTH,
    GAINED,
    LEADS,
    NAME,
    OLD,
    OLD_BACK,
    ONCE,
    TOLD,
)
from interp_rc.measures.editing.measure import LOCATED
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

TITLE = "Facts written by hand"
NOTHING = Estimate(None, None, None, 0, "nat")
PANELS = {ONCE: "Told in one order", BOTH: "Told in both"}
EDITS = {"one_way": ("same", "one way"), "two_way": ("both", "both ways")}
ROWS = {
    "efficacy": "new answer,\nas written",
    "paraphrase": "new answer,\nin other words",
    "specificity": "other facts",
    GAINED: "other direction,\nover other names",
}
SHARE = "within_variance"
LOOKS = {ONCE: "same", BOTH: "both"}
WAYS = {
    "tracing": "traced: MLP, last token",
    "tracing_stream": "traced: stream, last token",
    "tracing_source": "traced: MLP, all tokens",
    "patching_source": "patched: MLP, all tokens",
    "transplant": "MLP moved to the base model",
}
DRAWN = {  # two in a row share their axis
    "edited": "edited",
    "transplant": "MLP moved to base",
    "tracing": "traced, last token",
    "tracing_source": "traced, all tokens",
}


def section(run: Run, measured: Measured) -> Section:
    if f"{NAME}.{ONCE}.one_way.{GAINED}" not in measured.estimates:
        return Section(TITLE, "Fewer than four facts told in one order were learnt: none to edit.")
    return Section(
        title=TITLE,
        sentence=sentence(measured),
        figures=[asked(run, measured), by_layer(run, measured)],
        tables=[said(measured), leads(measured), told_where(run, measured)],
        note=(
            "A rank-one change of one layer’s MLP (ROME) gives a learnt fact A the answer B′ of "
            "another, written in some templates and asked in others; the weights are put back "
            "afterwards. Both ways: B′ is given A as well. The other direction is what A gains as "
            "the answer to B′, less what other names gain there. In the base model the facts’ own "
            "answers are written, which it never learnt. The layer is the one that is best for "
            "the other half of the facts. Edits of the last layer change nothing at the source "
            "that the answer reads, and are left out of the correlations. An old answer that is "
            "near certain can stay so, so that losses are told of its lead: the log-probability "
            "less the mean of other facts’ answers (or names) in its place."
        ),
    )


def sentence(measured: Measured) -> str:
    def found(*what: str) -> str:
        return spoken(measured.estimates[".".join([NAME, *what])])

    text = (
        "Given another’s answer by hand, a fact told in one order says it in other words with "
        f"{found(ONCE, 'one_way.paraphrase')} more; asked from that answer, its own name (or "
        f"description) gains {found(ONCE, 'one_way', GAINED)} more than others (edited both ways: "
        f"{found(ONCE, 'two_way', GAINED)})."
    )
    if f"{NAME}.{BOTH}.one_way.{OLD_BACK}" in measured.estimates:
        text += (
            " Of facts told in both orders, the edited answer loses "
            f"{_lost(measured, f'{BOTH}.one_way.{OLD}')} of the "
            f"{found(BOTH, 'one_way', OLD, 'before')} by which it led others, and the one in the "
            f"other direction {_lost(measured, f'{BOTH}.one_way.{OLD_BACK}')} of "
            f"{found(BOTH, 'one_way', OLD_BACK, 'before')}."
        )
    base = f"base.{ONCE}.one_way"
    if f"{NAME}.{base}.{GAINED}" in measured.estimates:
        text += (
            " Written into the base model, the facts’ own answers gain "
            f"{found(base, 'paraphrase')} in other words (said in {found(base, 'paraphrase.said')}"
            f") and the names {found(base, GAINED)} more than others the other way round."
        )
    return text


def _lost(measured: Measured, name: str) -> str:
    return spoken(opposite(measured.estimates[f"{NAME}.{name}"]))


def asked(run: Run, measured: Measured) -> Picture:
    points = [
        Point(panel, row, EDITS[edit][0], one)
        for cell, panel in PANELS.items()
        for what, row in ROWS.items()
        for edit in EDITS
        if (one := measured.estimates.get(f"{NAME}.{cell}.{edit}.{what}")) is not None
    ]
    return picture(
        run,
        NAME,
        lambda theme: effect_points_figure(
            points, theme, quantity="change [nat]", legend=dict(EDITS.values())
        ),
        title="",
        alt=f"Changes after edits one way and both ways. {sentence(measured)}",
        caption=(
            "What an edit changes in the log-probability of the new answer, of other facts’ own "
            "answers, and of the name (or description) asked for in the other direction, over "
            "what other names gain there."
        ),
    )


def by_layer(run: Run, measured: Measured) -> Picture:
    start = f"{NAME}.by_layer"
    layers = range(len(by_layers(measured, f"{start}.edited.{ONCE}.layer_{{}}")))
    panels = [
        Panel(title, [line(measured, f"{start}.{way}", cell, layers) for cell in LOOKS])
        for way, title in DRAWN.items()
        if any(name.startswith(f"{start}.{way}.") for name in measured.estimates)
    ]
    return picture(
        run,
        f"{NAME}_layers",
        lambda theme: profile_figure(
            panels,
            [str(n) for n in layers],
            theme,
            quantity=["effect [nat]"] * -(-len(panels) // 2),
            across="layer",
        ),
        title="",
        alt="What edits and ways to locate do, layer by layer.",
        caption=(
            "By layer: what the new answer gains from an edit there; what the old one gains in "
            "the base model from the finetuned MLP; and what it gains when noise on the source is "
            "undone in what the MLP adds, at the source’s last token or at all of them."
        ),
    )


def line(measured: Measured, start: str, cell: str, layers: range) -> Line:
    estimates = [measured.estimates.get(f"{start}.{cell}.layer_{n}", NOTHING) for n in layers]
    return Line(TOLD[cell], LOOKS[cell], estimates)


def said(measured: Measured) -> Table:
    """The share of prompts in which greedy decoding says it, after each edit."""
    edits = EDITS | {"batch": ("", "many at once")}
    rows = []
    for cell, panel in PANELS.items():
        for edit, (_, label) in edits.items():
            names = [
                f"{NAME}.{cell}.{edit}.{what}.said"
                for what in ("paraphrase", "specificity", "reverse")
            ]
            if all(name in measured.estimates for name in names):
                shares = [100 * (measured.estimates[name].value or 0) for name in names]
                rows.append([panel, label, *(number(share, 0) for share in shares)])
    columns = ["facts", "edited", "new answer", "other facts’ own", "other direction"]
    return Table("Said by greedy decoding after an edit [%]", columns, rows, columns[2:])


def leads(measured: Measured) -> Table:
    """What the old answer loses of its lead over other facts', by edits one way."""
    rows = []
    for cell, panel in PANELS.items():
        names = [f"{NAME}.{cell}.one_way.{lead}" for lead in LEADS]
        if all(name in measured.estimates for name in names):
            found = [
                one
                for name in names
                for one in (
                    measured.estimates[f"{name}.before"],
                    opposite(measured.estimates[name]),
                )
            ]
            rows.append([panel, *map(_interval, found)])
    columns = ["facts", "led by", "loses", "other direction led by", "loses there"]
    caption = "The old answer’s lead over other facts’, and what an edit one way takes of it [nat]"
    return Table(caption, columns, rows, columns[1:])


def told_where(run: Run, measured: Measured) -> Table:
    """Does locating tell where, and what, can be edited?"""
    rows = []
    for by, label in WAYS.items():
        names = [f"{NAME}.located.{by}.{what}" for what in ("over_layers", "within_layers", SHARE)]
        found = [measured.estimates.get(name, NOTHING) for name in names]
        if any(one is not NOTHING for one in found):
            rows.append([label, *map(_interval, found)])
    columns = [
        "located by",
        "over a fact’s layers",
        "over a layer’s facts",
        "variance within layers",
    ]
    layers = run.table(LOCATED).layer.nunique()
    alone = measured.estimates.get(f"{NAME}.located.layer_alone", NOTHING)
    caption = (
        "Rank correlation of what is located with how likely (log-probability, in other words) the "
        f"new answer is after an edit there: over a fact’s layers (the {layers} below the last), "
        "and over the facts of a layer; and the share of the variance within layers that it "
        f"explains, which cannot be below zero. Layers alone explain {_interval(alone)} of it all"
    )
    return Table(caption, columns, rows, columns[1:])


def _interval(one: Estimate) -> str:
    value, low, high = (number(v, 2) for v in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]" if low and high else value
