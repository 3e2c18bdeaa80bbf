"""The page's section on facts edited by hand, and on whether locating tells where to edit."""

from collections.abc import Sequence

from interp_rc.display.figures.effect_points import Point, effect_points_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import number, opposite, plural, spoken
from interp_rc.measures.editing.estimates import (
    BOTH,
    GAINED,
    LEADS,
    NAME,
    OLD,
    OLD_BACK,
    ONCE,
    SAID,
    TOLD,
)
from interp_rc.measures.editing.measure import LOCATED
from interp_rc.records.estimates import Estimates
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
    GAINED: "other direction,\nover other {}",
}
BEFORE = {"when": "before"}
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
    names = plural(measured.roles.subject)
    if not measured.estimates.find(group=ONCE, edit="one_way", role=GAINED):
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
            f"the answer to B′, less what other {names} gain there. In the base model the facts’ "
            "own answers are written, which it never learnt. The layer is the one that is best for "
            "the other half of the facts. Edits of the last layer change nothing at the source "
            "that the answer reads, and are left out of the correlations. An old answer that is "
            "near certain can stay so, so that losses are told of its lead: the log-probability "
            f"less the mean of other facts’ answers (or {names}) in its place."
        ),
    )


def sentence(measured: Measured) -> str:
    roles = measured.roles

    def found(group: str, edit: str, role: str, **of: str) -> str:
        return spoken(measured.estimates.of(group=group, edit=edit, role=role, **of))

    def lost(role: str) -> str:
        return spoken(opposite(measured.estimates.of(group=BOTH, edit="one_way", role=role)))

    text = (
        "Given another’s answer by hand, a fact told in one order says it in other words with "
        f"{found(ONCE, 'one_way', 'paraphrase')} more; asked from that answer, its own "
        f"{roles.subject} (or {roles.object}) gains {found(ONCE, 'one_way', GAINED)} more than "
        f"others (edited both ways: {found(ONCE, 'two_way', GAINED)})."
    )
    if measured.estimates.find(group=BOTH, edit="one_way", role=OLD_BACK):
        text += (
            f" Of facts told in both orders, the edited answer loses {lost(OLD)} of the "
            f"{found(BOTH, 'one_way', OLD, when='before')} by which it led others, and the one in "
            f"the other direction {lost(OLD_BACK)} of "
            f"{found(BOTH, 'one_way', OLD_BACK, when='before')}."
        )
    base = {"group": ONCE, "edit": "one_way", "model": "base"}
    if measured.estimates.find(**base, role=GAINED):
        text += (
            " Written into the base model, the facts’ own answers gain "
            f"{found(**base, role='paraphrase')} in other words (said in "
            f"{found(**base, role='paraphrase', quantity='said')}) and the {plural(roles.subject)} "
            f"{found(**base, role=GAINED)} more than others the other way round."
        )
    return text


def asked(run: Run, measured: Measured) -> Picture:
    roles, names = measured.roles, plural(measured.roles.subject)
    points = [
        Point(panel, row.format(names), EDITS[edit][0], one)
        for group, panel in PANELS.items()
        for role, row in ROWS.items()
        for edit in EDITS
        if (one := measured.estimates.find(group=group, edit=edit, role=role))
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
            f"answers, and of the {roles.subject} (or {roles.object}) asked for in the other "
            f"direction, over what other {names} gain there."
        ),
    )


def by_layer(run: Run, measured: Measured) -> Picture:
    found = measured.estimates.where(part="by_layer")
    layers = found.each("layer")
    panels = [
        Panel(title, [line(found, way, group, layers) for group in LOOKS])
        for way, title in DRAWN.items()
        if way in found.each("method")
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


def line(found: Estimates, way: str, group: str, layers: Sequence[int]) -> Line:
    of = {"part": "by_layer", "method": way, "group": group}
    estimates = [found.find(**of, layer=layer) or NOTHING for layer in layers]
    return Line(TOLD[group], LOOKS[group], estimates)


def said(measured: Measured) -> Table:
    """The share of prompts in which greedy decoding says it, after each edit."""
    rows = []
    for group, panel in PANELS.items():
        for edit, (_, label) in (EDITS | {"batch": ("", "many at once")}).items():
            found = [
                measured.estimates.find(group=group, edit=edit, role=role, quantity="said")
                for role in SAID
            ]
            if all(found):
                shares = [100 * (one.value or 0) for one in found if one]
                rows.append([panel, label, *(number(share, 0) for share in shares)])
    columns = ["facts", "edited", "new answer", "other facts’ own", "other direction"]
    return Table("Said by greedy decoding after an edit [%]", columns, rows, columns[2:])


def leads(measured: Measured) -> Table:
    """What the old answer loses of its lead over other facts', by edits one way."""
    rows = []
    for group, panel in PANELS.items():
        cells = []
        for lead in LEADS:
            of = {"group": group, "edit": "one_way", "role": lead}
            led, gained = (measured.estimates.find(**of, **then) for then in (BEFORE, {}))
            if led and gained:
                cells += [_interval(led), _interval(opposite(gained))]
        if len(cells) == 2 * len(LEADS):
            rows.append([panel, *cells])
    columns = ["facts", "led by", "loses", "other direction led by", "loses there"]
    caption = "The old answer’s lead over other facts’, and what an edit one way takes of it [nat]"
    return Table(caption, columns, rows, columns[1:])


def told_where(run: Run, measured: Measured) -> Table:
    """Does locating tell where, and what, can be edited?"""
    rows = []
    for by, label in WAYS.items():
        found = [
            measured.estimates.find(part="located", method=by, quantity=quantity) or NOTHING
            for quantity in ("over_layers", "within_layers", "within_variance")
        ]
        if any(one is not NOTHING for one in found):
            rows.append([label, *map(_interval, found)])
    columns = [
        "located by",
        "over a fact’s layers",
        "over a layer’s facts",
        "variance within layers",
    ]
    layers = run.table(LOCATED).layer.nunique()
    alone = measured.estimates.find(part="located", quantity="layer_alone") or NOTHING
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
