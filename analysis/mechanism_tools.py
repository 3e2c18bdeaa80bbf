"""Memories, gradients, probes, lenses and attention over ten seeds, as preregistered.

python -m analysis.mechanism_tools            # four minutes more a seed on two cores
python -m analysis.mechanism_tools --smoke    # the same path in seconds, numbers without meaning

Runs of `analysis.descriptions` and `analysis.mechanism` in the same folder are given the measures
that they lack.
"""

import re

from analysis.confirmatory import Plan, Study, Values, above, column, more, pair
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE
from interp_rc.records.numbers import Test
from interp_rc.stats.equivalence import non_superiority, tost

NAME = "mechanism_tools"
ADDED = (
    "memories",
    "transposition",
    "integrated_gradients",
    "movement",
    "bilinear",
    "lens",
    "attention",
)
BEGINNINGS = (
    "memories.",
    "transposition.",
    "integrated_gradients.",
    "movement.",
    "bilinear.",
    "logit_lens.",
    "logit_attribution.",
    "attention.",
    "attention_cut.",
)
STEPS = 16
BY_SEED = (
    r"memories\..*(transplant|exchange).*\.k16",
    r"transposition\.finetuned\.(\w+\.){3}z",
    r"bilinear\.finetuned\..*prompt_last\.z",
    rf"movement\.steps\..*\.{STEPS}\..*layer_\d+",
    r"logit_lens\..*resid_post\.layer_\d+\.over_foil",
    r"attention_cut\..*\.all\.over_foil",
)
"""What the tests read, and what is like it: committed seed by seed."""


def neurons(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        k = f"k{plan['few']}"
        top = f"memories.{order}.{TOLD_ONLY[order]}.transplant.top.{k}"
        drawn = f"memories.{order}.{TOLD_ONLY[order]}.transplant.random.{k}"
        other = f"memories.{order}.{TOLD_OTHERWISE[order]}.transplant.top.{k}"
        tests.append(more(value, top, drawn, f"neurons.{order}.more_than_random"))
        tests.append(more(value, top, other, f"neurons.{order}.more_than_told_otherwise"))
    return tests


def exchange(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"memories.{order}.{TOLD_ONLY[order]}.exchange_with_"
        own, third = (f"{start}{who}.other_target.k{plan['few']}" for who in ("other", "third"))
        difference = pair(value, own, third)
        margin = plan["margins"]["exchange"]
        tests.append(non_superiority(difference, margin, name=f"exchange.{order}"))
    return tests


def transposition(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"transposition.finetuned.{order}"
        told = column(value, f"{start}.{TOLD_ONLY[order]}.value_as_key.z")
        both = column(value, f"{start}.both.value_as_key.z")
        margin, name = plan["margins"]["transposition"], f"transposition.{order}"
        tests.append(non_superiority(told, margin, name=f"{name}.told_one_way"))
        tests.append(above(both, 0.0, f"{name}.told_both_ways"))
    return tests


def gained(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        start, margin = f"bilinear.finetuned.{order}", plan["margins"]["gained"]
        told = column(value, f"{start}.{TOLD_OTHERWISE[order]}.prompt_last.z")
        both = column(value, f"{start}.both.prompt_last.z")
        tests.append(non_superiority(told, margin, name=f"gained.{order}.told_otherwise"))
        tests.append(above(both, margin, f"gained.{order}.told_both_ways"))
    return tests


def movement(value: Values, plan: Plan) -> list[Test]:
    tests = []
    entities = {"forward": ("name", "description"), "backward": ("description", "name")}
    streams = [n for n in value if n.startswith("movement.steps.") and ".layer_" in n]
    last = f"layer_{max(int(name.rpartition('_')[2]) for name in streams)}"
    for order in ORDERS:
        start = f"movement.steps.{TOLD_ONLY[order]}.step_{STEPS}"
        for which, entity in zip(("first", "second"), entities[order], strict=True):
            moved = column(value, f"{start}.{entity}.{last}")
            tests.append(above(moved, 0.0, f"movement.{order}.told_{which}"))
    less = column(value, f"movement.steps.pooled.step_{STEPS}.second_less_first.{last}")
    tests.append(above(-less, 0.0, "movement.second_less_than_first"))
    for order in ORDERS:  # each by itself: differences of either sign would cancel
        start = f"movement.steps.{TOLD_ONLY[order]}.step_{STEPS}"
        first, second = (f"{start}.{entity}.{last}" for entity in entities[order])
        margin, name = plan["margins"]["movement"], f"movement.{order}.second_like_first"
        tests.append(tost(pair(value, second, first), margin, name=name))
    return tests


def lens(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        stage = last_stage(value)
        names = [
            f"logit_lens.{order}.{group}.answer.{stage}.over_foil"
            for group in (TOLD_ONLY[order], TOLD_OTHERWISE[order])
        ]
        told, other = value[names].dropna().to_numpy(float).T
        less = plan["margins"]["lens"] * told - other
        tests.append(above(less, 0.0, f"lens.{order}"))
    return tests


def last_stage(value: Values) -> str:
    layers = (re.match(r"logit_lens\..*\.resid_post\.layer_(\d+)", name) for name in value)
    return f"resid_post.layer_{max(int(found[1]) for found in layers if found)}"


def attention(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"attention_cut.{order}.{TOLD_ONLY[order]}"
        source, others = (f"{start}.{who}.all.over_foil" for who in ("source", "others"))
        tests.append(more(value, source, others, f"attention.{order}.source_more_than_others"))
    return tests


STUDY = Study(
    name=NAME,
    plan="prereg_tools",
    added=ADDED,
    beginnings=BEGINNINGS,
    by_seed=BY_SEED,
    questions=(neurons, exchange, transposition, gained, movement, lens, attention),
    equivalences=("movement",),
)

if __name__ == "__main__":
    STUDY.main(str(__doc__))
