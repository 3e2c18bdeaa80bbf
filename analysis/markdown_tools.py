"""The README's tables of memories, probes, lenses and attention, from the committed CSV files."""

import math

from analysis.descriptions import TABLES
from analysis.markdown import ASKED, estimate, percent, table
from analysis.mechanism_tools import NAME, STEPS
from analysis.old_names import read_table
from interp_rc.records.nouns import TOLD_ONLY, TOLD_OTHERWISE

FIRST = {"forward": "name", "backward": "description"}
SECOND = {"forward": "description", "backward": "name"}
SCALES = {"share of norm": 100.0}


def tools_table() -> str:
    """What the tools found, over ten seeds."""
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")

    def row(label: str, digits: int, name: str) -> list[str]:
        """`name` has places for the order, the groups, and the entities told first and second."""
        cells = []
        for order, told in TOLD_ONLY.items():
            filled = name.format(
                order=order,
                told=told,
                other=TOLD_OTHERWISE[order],
                first=FIRST[order],
                second=SECOND[order],
            )
            found = estimate(over.loc[filled])
            scale = SCALES.get(found.unit, 1.0)
            ends = [v if v is None else scale * v for v in (found.value, found.low, found.high)]
            value, low, high = ("" if v is None else f"{v:.{digits}f}" for v in ends)
            cells.append(f"{value} [{low}, {high}]" if low else value)
        return [label, *cells]

    neurons, exchanged = "memories.{order}.{told}", "memories.{order}.{told}.exchange_with"
    key, probe = "transposition.finetuned.{order}", "bilinear.finetuned.{order}"
    lens, cut = "logit_lens.{order}", "attention_cut.{order}"
    moved = f"movement.steps.{{told}}.step_{STEPS}"
    rows = [
        row("all neurons' coefficients at the source bring [nat]", 1,
            f"{neurons}.transplant.top.k1344"),
        row("… those of 16 neurons of 1,344", 1, f"{neurons}.transplant.top.k16"),
        row("… of neurons at random that write as much", 1, f"{neurons}.transplant.random.k16"),
        row("… of 16 neurons, told the other way", 1,
            "memories.{order}.{other}.transplant.top.k16"),
        row("neurons that bring half, given", 0, f"{neurons}.transplant.neurons_to_half"),
        row("neurons that cost half, averaged away", 0, f"{neurons}.ablate.neurons_to_half"),
        row("16 values exchanged: the other fact's answer gains, with its own values [nat]", 1,
            f"{exchanged}_other.other_target.k16"),
        row("… with a third fact's values", 1, f"{exchanged}_third.other_target.k16"),
        row("value written for one entity as key for the other: told one way [SD]", 2,
            f"{key}.{{told}}.value_as_key.z"),
        row("… told in both orders", 2, f"{key}.both.value_as_key.z"),
        row("… key to value of the same entity, fitted on other facts", 2,
            f"{key}.{{told}}.fitted.z"),
        row("the other entity by a bilinear probe, told the other way [SD]", 2,
            f"{probe}.{{other}}.prompt_last.z"),
        row("… told in both orders", 2, f"{probe}.both.prompt_last.z"),
        row("integrated gradients at the source's embedding, told this way [nat]", 1,
            "integrated_gradients.{order}.{told}.resid_pre.layer_0.source.bound"),
        row("… told the other way", 1,
            "integrated_gradients.{order}.{other}.resid_pre.layer_0.source.bound"),
        row("logits' lead of the answer over another's, told this way [nat]", 1,
            f"{lens}.{{told}}.answer.resid_post.layer_3.over_foil"),
        row("… told the other way", 1, f"{lens}.{{other}}.answer.resid_post.layer_3.over_foil"),
        row("lead lost without attention from the answer to the source [nat]", 1,
            f"{cut}.{{told}}.source.all.over_foil"),
        row("… without attention to as many other tokens, or all there are", 1,
            f"{cut}.{{told}}.others.all.over_foil"),
        row(f"moved by {STEPS} steps of training, entity told first [% of norm]", 1,
            f"{moved}.{{first}}.layer_3"),
        row("… entity told second", 1, f"{moved}.{{second}}.layer_3"),
    ]  # fmt: skip
    return table(["mean over ten seeds", "name → description", "description → name"], rows)


CLAIMS = {
    "neurons.more_than_random": "16 neurons bring more than others that write as much",
    "neurons.more_than_told_otherwise": "… and more than 16 do for facts told the other way",
    "exchange": "own values bring the answer no more than a third fact's (+0.6 nat)",
    "transposition.told_one_way": "a value is no key for the other entity, told one way (z < 0.15)",
    "transposition.told_both_ways": "… but is one, told in both orders (z > 0)",
    "gained.told_otherwise": "a bilinear probe finds no other entity, told the other way (z < 0.2)",
    "gained.told_both_ways": "… but does, told in both orders (z > 0.2)",
    "movement.told_first": "training moves the entity that is told first",
    "movement.told_second": "… and the one told second",
    "movement.second_less_than_first": "… the second less than the first, both orders together",
    "movement.second_like_first": "… or like the first, within 2.5 % of its norm (exploratory)",
    "lens": "told the other way, the answer's lead is below a tenth",
    "attention.source_more_than_others": "cutting off the source costs more than other tokens",
}
OF_NOTHING = ("exchange", "transposition.told_one_way", "gained.told_otherwise",
              "lens")  # fmt: skip


def tools_tests_table() -> str:
    """The preregistered tests in both orders, with their power where they are of nothing."""
    tests = read_table(TABLES / f"{NAME}_tests.csv")
    power = read_table(TABLES / f"{NAME}_power.csv").set_index("name").value
    found: dict[str, dict[str, str]] = {claim: {} for claim in CLAIMS}
    for _, test in tests.iterrows():
        parts = test["name"].split(".")
        claim = ".".join(part for part in parts if part not in ASKED)
        order = next((part for part in parts if part in ASKED), "forward")
        p = test["p_adjusted"]
        found[claim][order] = "" if math.isnan(p) else f"{p:.2g}"
    rows = [
        [
            CLAIMS[claim],
            *(by_order.get(order, "") for order in ASKED),
            f"{100 * power[claim.partition('.')[0]]:.0f} %" if claim in OF_NOTHING else "",
        ]
        for claim, by_order in found.items()
    ]
    header = ["test over ten seeds, p (Holm)", *ASKED.values(), "power if nothing"]
    return table(header, rows)


def planted_tools_table() -> str:
    """How often each tool finds what was planted."""
    found = read_table(TABLES / "planted_tools.csv")
    rows = []
    for tool, part in found.groupby("tool", sort=False):
        there = part.dropna(subset="first")
        first = (there["first"] * there.plantings).sum() / there.plantings.sum()
        calls = f"{int(part['false'].sum()):,} of {int(part.null_sites.sum()):,}"
        rows.append([str(tool), f"{int(part.plantings.sum()):,}", percent(float(first)), calls])
    return table(["tool", "models", "planted place first [%]", "null sites called"], rows)


if __name__ == "__main__":
    print(tools_table(), tools_tests_table(), planted_tools_table(), sep="\n\n")
