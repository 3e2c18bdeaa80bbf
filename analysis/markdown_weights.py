"""The README's tables of transplants, readouts, edits and erasure, from the committed CSV files."""

import pandas as pd

from analysis.descriptions import TABLES
from analysis.markdown import ASKED, estimate, percent, table
from analysis.mechanism_weights import NAME, RANK
from analysis.old_names import read_table
from interp_rc.records.nouns import TOLD_ONLY, TOLD_OTHERWISE

HEADER = ["mean over ten seeds", "name → description", "description → name"]


def _said(row: "pd.Series[float]", digits: int, sign: float = 1.0) -> str:
    found = estimate(row)
    scale = sign * (100.0 if found.unit == "fraction" else 1.0)
    value, *ends = (None if v is None else scale * v for v in (found.value, found.low, found.high))
    low, high = sorted(ends) if None not in ends else (None, None)
    interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}"


def weights_table() -> str:
    """What moving, reading out and cutting out weights gave, by order of asking."""
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")

    def row(label: str, name: str, digits: int = 1) -> list[str]:
        """`name` has places for the order and its groups."""
        names = [
            name.format(order=order, told=told, other=TOLD_OTHERWISE[order])
            for order, told in TOLD_ONLY.items()
        ]
        return [label, *(_said(over.loc[one], digits) for one in names)]

    sets, bound = "transplant.smallest.{order}", "update_geometry.{}.{{order}}.path.all.bound"
    cut = "erasure.both.{{order}}.{}.{}"
    rows = [
        row("all weights put into the base bring [nat]", f"{sets}.all.told"),
        row("… matrices chosen on other facts", f"{sets}.greedy.told"),
        row("… as many matrices at random", f"{sets}.random.told"),
        row("… matrices at random with as many weights", f"{sets}.as_large.told"),
        row("… the chosen matrices, asked in reverse", f"{sets}.greedy.reverse"),
        row("matrices chosen, of 31", f"{sets}.greedy.sites"),
        row("… their share of all weights [%]", f"{sets}.greedy.weights"),
        row("finetuning binds the answer to its prompt [nat], told this way",
            bound.format("{told}")),
        row("… told the other way", bound.format("{other}")),
        row("… told in both orders", bound.format("both")),
        row("told in both, erased in this order: share of the damage in the other, by ablation",
            cut.format("ablation", "ratio"), 2),
        row("… by gradient", cut.format("gradient", "ratio"), 2),
        row("… by a rank-one edit", cut.format("edit", "ratio"), 2),
        row("… in other templates of the same order, by ablation",
            cut.format("ablation", "control"), 2),
        row("… by gradient", cut.format("gradient", "control"), 2),
        row("… by a rank-one edit", cut.format("edit", "control"), 2),
    ]  # fmt: skip
    return table(HEADER, rows)


def edits_table() -> str:
    """What is said after rank-one edits."""
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")

    def row(label: str, name: str, *, sign: float = 1.0) -> list[str]:
        cells = []
        for told in ("told_once", "told_both", "base.told_once"):
            one = f"editing.{name.format(told=told)}"
            cells.append(_said(over.loc[one], 1, sign) if one in over.index else "")
        return [label, *cells]

    one, two = "{told}.one_way", "{told}.two_way"
    rows = [
        row("new answer in other words gains [nat]", f"{one}.paraphrase"),
        row("… is said [%]", f"{one}.paraphrase.said"),
        row("other facts' own answers lose [nat]", f"{one}.specificity", sign=-1),
        row("the other direction gains, over other names [nat]", f"{one}.reverse_gained"),
        row("… edited both ways", f"{two}.reverse_gained"),
        row("the old answer's lead over other answers loses [nat]", f"{one}.old_lead", sign=-1),
        row("… that of the way back loses", f"{one}.old_reverse_lead", sign=-1),
    ]
    header = ["a rank-one edit, mean over ten seeds", "told in one order", "told in both"]
    return table([*header, "new to the base model"], rows)


LOCATED = {
    "tracing": "traced, MLP, source's last token",
    "tracing_source": "traced, MLP, all tokens of the source",
    "patching_source": "patched, MLP, all tokens of the source",
    "transplant": "MLP moved to the base model",
}


def locating_table() -> str:
    """What locating says of where edits succeed."""
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")
    rows = [
        [
            label,
            *(
                _said(over.loc[f"editing.located.{by}.{what}"], 2)
                for what in ("over_layers", "within_layers", "within_variance")
            ),
        ]
        for by, label in LOCATED.items()
    ]
    alone = _said(over.loc["editing.located.layer_alone"], 2)
    header = ["located by", "rank correlation over layers", "over a layer's facts"]
    return table([*header, f"share of the variance that layers ({alone}) leave"], rows)


CLAIMS = {
    "weights.more_than_as_many": "chosen matrices bring more than as many at random",
    "weights.as_many_weights": "… and no more than others with as many (+0.8 nat; exploratory)",
    "weights.rank_more_than_random": f"{RANK} singular directions bring more than {RANK} at random",
    "weights.none_needed": "no one part costs a tenth when it is put back",
    "weights.one_brings_some": "… while the first MLP alone brings more than a tenth",
    "reverse": "all weights bring nothing in reverse (within 0.8 nat; exploratory)",
    "readout.told_otherwise": "the difference binds nothing in reverse (below 0.8 nat)",
    "readout.told_both_ways": "… but does for facts told in both orders",
    "edits.finetuned.one_way": "an edit does not bring the other direction (exploratory)",
    "edits.finetuned.two_way": "… unless it is made both ways (above 4 nat)",
    "edits.base.one_way": "… nor does one of the base model (exploratory)",
    "edits.base.two_way": "… unless it is made both ways (above 7 nat)",
    "edits.others": "other facts lose less than 0.7 nat",
    "way_back.left": "told in both: edited in one order, the other's lead loses less than 0.6 nat",
    "way_back.edited_direction_lost": "… and the edited one's more than 2.5 nat",
    "locating.over_layers": "tracing ranks layers as edits do (above 0.4)",
    "locating.within_layers": "… and within a layer explains less than 0.05 of what varies",
    "locating.layer_alone": "… while the layer explains more than 0.3 of all",
    "erasure.other_order": "erased in one order, the other loses less than half of that",
    "erasure.other_template": "… while other templates lose more than half",
}
POWER = {
    "readout.told_otherwise": "readout",
    "edits.finetuned.one_way": "edits",
    "edits.base.one_way": "edits_base",
    "edits.others": "edits_others",
    "way_back.left": "way_back",
    "locating.within_layers": "locating",
    "erasure.other_order": "erasure",
}
# The power of tests that were frozen for the mean of both orders is not that of either order.
METHODS = ("ablation", "gradient", "edit")


def weights_tests_table() -> str:
    """The preregistered tests; of those made in both orders or three ways, the largest p."""
    tests = read_table(TABLES / f"{NAME}_tests.csv")
    power = read_table(TABLES / f"{NAME}_power.csv").set_index("name").value
    parts = tests["name"].str.split(".")
    dropped = {*ASKED, *METHODS}
    claim = parts.map(lambda some: ".".join(part for part in some if part not in dropped))
    rows = []
    for name, label in CLAIMS.items():
        mine = tests[claim == name]
        p, passed = mine.p_adjusted, int((mine.p_adjusted <= 0.05).sum())
        many = f"{passed} of {len(mine)}" if len(mine) > 1 else ""
        sure = f"{100 * power[POWER[name]]:.0f} %" if name in POWER else ""
        rows.append([label, f"{p.max():.2g}", many, sure])
    return table(["test over ten seeds", "p (Holm), the largest", "pass", "power if nothing"], rows)


def planted_weights_table() -> str:
    """How often tools that move weights find what was planted."""
    found = read_table(TABLES / "planted_weights.csv")
    rows = []
    for tool, part in found.groupby("tool", sort=False):
        first = (part["first"] * part.plantings).sum() / part.plantings.sum()
        null = int(part.null_sites.sum())
        calls = f"{int(part['false'].sum()):,} of {null:,}" if null else "none provable"
        rows.append([str(tool), f"{int(part.plantings.sum()):,}", percent(float(first)), calls])
    return table(["tool", "models", "planted place first [%]", "null sites called"], rows)


def planted_erasure_table() -> str:
    """How often erasure says the planted number of stores."""
    found = read_table(TABLES / "planted_erasure.csv")
    methods = list(dict.fromkeys(found.method))
    rows = []
    for (kind, decoys), part in found.groupby(["kind", "decoys"], sort=False):
        label = {"two_way": "one store", "two_stores": "two stores"}[str(kind)]
        cells = []
        for method in methods:
            mine = part[part.method == method]
            right = round(float((mine.right * mine.plantings).sum()))
            cells.append(f"{right} of {int(mine.plantings.sum())}")
        rows.append([label + (", decoys" if decoys else ""), *cells])
    return table(["planted", *methods], rows)


if __name__ == "__main__":
    print(
        weights_table(),
        edits_table(),
        locating_table(),
        weights_tests_table(),
        planted_weights_table(),
        planted_erasure_table(),
        sep="\n\n",
    )
