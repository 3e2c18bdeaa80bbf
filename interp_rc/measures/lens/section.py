"""The page's section on where the answer appears, and what writes it."""

from typing import NamedTuple

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told_each
from interp_rc.display.wording import MINUS, TIE, listed, spoken, without_unit
from interp_rc.measures.lens.measure import CHOSEN
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

BOTH: Group = "both"
NOTHING = Estimate(None, None, None, 0, "nat")
COLUMNS = ["asked", "part", "told this way", "told the other way", "in both"]


def section(run: Run, measured: Measured) -> Section:
    title = "Where the answer appears, and what writes it"
    orders = [order for order in ORDERS if _end(measured, order, TOLD_ONLY[order]) is not None]
    if not orders:
        return Section(title, "Fewer than two facts told in one order were learnt: nothing to see.")
    return Section(
        title=title,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[by_stage(run, measured, orders)],
        tables=[writers_table(measured, orders)],
        note=(
            "The logit lens reads the residual stream after each sublayer as if it were the last: "
            "what the whole answer, each token after the true ones before it, is ahead of another "
            "learnt fact’s after the same prompt, averaged over the prompts of both, so that what "
            "is likelier anyway falls out; intervals are over such pairs of facts. Stages count as "
            "telling the two apart if they and all later ones do (5 % false discoveries, "
            "Benjamini–Hochberg). Attribution splits the first token that differs: the logit of "
            "the answer’s less that of the other’s, with the final norm’s scale as it was. It sees "
            "direct writing alone, not what a part does through later ones; the parts add up to "
            f"the logits within {residual(measured)}."
        ),
    )


def residual(measured: Measured) -> str:
    found = measured.estimates.of(part="logit_attribution", quantity="residual")
    return f"{found.value or 0.0:.0e}{TIE}logits".replace("-", MINUS)


def stages(measured: Measured) -> list[tuple[str, int]]:
    """Stages of the stream in turn, of which parallel layers have no `resid_mid`."""
    layers = measured.estimates.where(part="logit_lens", component="resid_post").each("layer")
    after = [(site, n) for n in range(max(layers) + 1) for site in ("resid_mid", "resid_post")]
    return [("resid_pre", 0), *after]


def ahead(measured: Measured, order: Order, group: Group, stage: tuple[str, int]) -> Estimate:
    of = {"part": "logit_lens", "order": order, "group": group, "place": "answer"}
    at = {"component": stage[0], "layer": stage[1], "quantity": "over_foil"}
    return measured.estimates.find(**of, **at) or NOTHING


def _end(measured: Measured, order: Order, group: Group) -> Estimate | None:
    """At the last stage; None where nothing was measured."""
    if not measured.estimates.where(part="logit_lens", order=order, group=group):
        return None
    return ahead(measured, order, group, stages(measured)[-1])


def sentence(measured: Measured, order: Order) -> str:
    own, other = TOLD_ONLY[order], TOLD_OTHERWISE[order]
    best = writer(measured, order)
    after, likeliest = (said(measured, order, what) for what in ("ahead_from", "likeliest_after"))
    text = f"{Words(measured.roles).asked_first(order)}, the answer of facts told that way "
    text += f"is ahead of another fact’s from {after} on" if after else "is never ahead"
    text += f", is the likeliest in most prompts after {likeliest}," if likeliest else ""
    controls = [
        f"{spoken(end)} for facts told {words}"
        for group, words in zip((other, BOTH), ("in the other order", "in both"), strict=True)
        if (end := _end(measured, order, group)) is not None
    ]
    ends = _end(measured, order, own) or NOTHING
    text += f" and ends {spoken(ends)} ahead"
    text += f" ({listed(controls)}); " if controls else "; "
    of = f"; facts told in the other order: {spoken(best.of[other])}" if other in best.of else ""
    written = f"{best.name} writes the most of the first token that differs"
    return f"{text}{written}, {spoken(best.of[own])}{of}."


def said(measured: Measured, order: Order, reading: str) -> str:
    """A stage by what comes before it; nothing where there is none."""
    for row in measured.estimates.where(part="logit_lens", order=order, reading=reading).rows:
        site, layer = row.of["component"], row.of["layer"]
        before = {"resid_pre": "the embedding", "resid_mid": f"attention {layer}"}
        return before.get(site, f"MLP {layer}")
    return ""


class Writer(NamedTuple):
    """A head or MLP chosen in one template, and what it writes in the others [logit], by group."""

    name: str
    of: dict[Group, Estimate]


def writer(measured: Measured, order: Order, rank: int = 1) -> Writer:
    """The `rank`-th of what writes most on facts told this way."""
    of = {"part": "logit_attribution", "order": order, "rank": rank}
    [row] = measured.estimates.where(**of, reading="chosen").rows
    site, layer, head = (row.of.get(axis) for axis in ("component", "layer", "head"))
    name = f"MLP {layer}" if site == "mlp_out" else f"head {head} of layer {layer}"
    return Writer(name, measured.estimates.along("group", **of, reading="elsewhere"))


def by_stage(run: Run, measured: Measured, orders: list[Order]) -> Picture:
    turn = stages(measured)
    panels = [panel(measured, order, lens) for lens in (True, False) for order in orders]
    if len(orders) == 1:  # each in a row of its own
        panels = [panels[0], panels[0], panels[1], panels[1]]
    layers = ["in", *(str(layer) if site == "resid_mid" else "" for site, layer in turn[1:])]
    words = " ".join(sentence(measured, order) for order in orders)
    return picture(
        run,
        "lens",
        lambda theme: profile_figure(
            panels,
            layers,
            theme,
            quantity=["ahead [nat]", "written [logit]"],
            across="layer: attention, then MLP",
        ),
        title="",
        alt=f"Logit lens and logit attribution by layer. {words}",
        caption=(
            "Above: what the answer is ahead of another fact’s, read by the logit lens after each "
            "attention and MLP (in: the embedding). Below: what that attention or MLP itself "
            "writes towards the first token of the answer that differs. Means over pairs of facts "
            "with 95 % intervals."
        ),
    )


def panel(measured: Measured, order: Order, lens: bool) -> Panel:
    lines = []
    for group, label, asked in told_each(order):
        if _end(measured, order, group) is not None:
            read = ahead if lens else written
            estimates = [read(measured, order, group, stage) for stage in stages(measured)]
            lines.append(Line(label, asked, estimates))
    what = Words(measured.roles).asked(order)
    return Panel(f"{'lens' if lens else 'attribution'}, {what}", lines)


def written(measured: Measured, order: Order, group: Group, stage: tuple[str, int]) -> Estimate:
    """By the sublayer before a stage."""
    site, layer = stage
    at: dict[str, str | int] = {"component": "embedding"}
    if site != "resid_pre":
        at = {"component": "attn_out" if site == "resid_mid" else "mlp_out", "layer": layer}
    of = {"part": "logit_attribution", "order": order, "group": group, "reading": "foil"}
    return measured.estimates.find(**of, **at) or NOTHING


def writers_table(measured: Measured, orders: list[Order]) -> Table:
    rows = []
    for order in orders:
        for rank in range(1, CHOSEN + 1):
            best = writer(measured, order, rank)
            groups = (TOLD_ONLY[order], TOLD_OTHERWISE[order], "both")
            cells = [without_unit(best.of[s]) if s in best.of else "" for s in groups]
            rows.append([Words(measured.roles).asked(order), best.name, *cells])
    return Table("What heads and MLPs write most [logit]", COLUMNS, rows, COLUMNS[2:])
