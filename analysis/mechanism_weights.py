"""Transplants, update readouts, edits and erasure over ten seeds, as preregistered.

python -m analysis.mechanism_weights            # five minutes more a seed on one core
python -m analysis.mechanism_weights --smoke    # the same path in seconds, numbers without meaning

Runs of `analysis.descriptions` and its like in the same folder are given the measures that they
lack.
"""

import numpy as np

from analysis.confirmatory import Plan, Study, Values, above, column, more, pair
from interp_rc.measures.erasure.damage import METHODS
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE
from interp_rc.records.numbers import Test
from interp_rc.stats.equivalence import non_superiority, tost
from interp_rc.stats.margins import margin_of

NAME = "mechanism_weights"
ADDED = ("transplant", "update_geometry", "editing", "erasure")
RANK = 16
TENTH = 0.1
TWO_WAY, TWO_WAY_BASE = 4.0, 7.0  # nat: what edits both ways bring at least
GONE = 2.5  # nat: what the edited direction's lead loses at least
OVER_LAYERS, BY_LAYER = 0.4, 0.3
HALF = 0.5
BY_SEED = (
    r"transplant\.(all|smallest)\..*",
    rf"transplant\.rank\.same\.(top|random)\.r{RANK}",
    r"transplant\.(given|taken)\..*\.same",
    r"update_geometry\..*\.all\.bound",
    r"editing\.(base\.)?told_(once|both)\..*",
    r"editing\.located\..*",
    r"erasure\.both\..*\.(ratio|control)",
)
"""What the tests read, and what is like it: committed seed by seed."""


def weights(value: Values, plan: Plan) -> list[Test]:
    start = "transplant.smallest.{order}.{which}.told"
    greedy, drawn = (
        over_orders(value, start.replace("{which}", which)) for which in ("greedy", "random")
    )
    whole, lead = told(value, "fact"), told(value, "lead")
    units = [n for n in value if n.startswith("transplant.taken.") and n.endswith(".same")]
    loss = -value[units].dropna().to_numpy(float).min(1)
    alone = column(value, "transplant.given.mlp.layer_0.same")
    rank = f"transplant.rank.same.{{}}.r{RANK}"
    return [
        above(greedy - drawn, 0.0, "weights.more_than_as_many"),
        *(
            non_superiority(
                pair(
                    value,
                    start.format(order=order, which="greedy"),
                    start.format(order=order, which="as_large"),
                ),
                plan["margins"]["weights"],
                name=f"weights.{order}.as_many_weights",
            )
            for order in ORDERS
        ),
        more(value, rank.format("top"), rank.format("random"), "weights.rank_more_than_random"),
        above(TENTH * lead - loss, 0.0, "weights.none_needed"),
        above(alone - TENTH * whole, 0.0, "weights.one_brings_some"),
    ]


def over_orders(value: Values, name: str) -> np.ndarray:
    """The mean of both orders; `name` has a place for the order."""
    both = value[[name.format(order=order) for order in ORDERS]].dropna()
    return both.mean(axis=1).to_numpy(float)


def told(value: Values, metric: str) -> np.ndarray:
    """What all weights bring of facts asked as they were told, mean of both orders."""
    names = [f"transplant.all.{group}.same.{metric}" for group in TOLD_ONLY.values()]
    return value[names].dropna().mean(axis=1).to_numpy(float)


def reverse(value: Values, plan: Plan) -> list[Test]:
    """Each order by itself: what one brings would cancel what the other takes away."""
    return [
        tost(
            column(value, f"transplant.all.{TOLD_OTHERWISE[order]}.reverse.fact"),
            plan["margins"]["reverse"],
            name=f"reverse.{order}",
        )
        for order in ORDERS
    ]


def readout(value: Values, plan: Plan) -> list[Test]:
    tests, margin = [], plan["margins"]["readout"]
    for order in ORDERS:
        start = "update_geometry.{}." + f"{order}.path.all.bound"
        other = column(value, start.format(TOLD_OTHERWISE[order]))
        tests.append(non_superiority(other, margin, name=f"readout.{order}.told_otherwise"))
        both = column(value, start.format("both"))
        tests.append(above(both, margin, f"readout.{order}.told_both_ways"))
    return tests


def edits(value: Values, plan: Plan) -> list[Test]:
    """One way against 5 % of what both ways gain, which is in the same unit: exploratory, for
    the plan's margins are of another (`prereg_corrections.yaml`)."""
    tests = []
    for model, least in (("", TWO_WAY), ("base.", TWO_WAY_BASE)):
        start, name = f"editing.{model}told_once", f"edits.{model or 'finetuned.'}"
        one, two = (
            column(value, f"{start}.{edit}.reverse_gained") for edit in ("one_way", "two_way")
        )
        margin = margin_of(two)
        assert margin is not None
        tests.append(non_superiority(one, margin, name=f"{name}one_way"))
        tests.append(above(two, least, f"{name}two_way"))
    lost = -column(value, "editing.told_once.one_way.specificity")
    tests.append(non_superiority(lost, plan["margins"]["edits_others"], name="edits.others"))
    return tests


def way_back(value: Values, plan: Plan) -> list[Test]:
    start = "editing.told_both.one_way"
    back, old = (-column(value, f"{start}.{asked}") for asked in ("old_reverse_lead", "old_lead"))
    return [
        non_superiority(back, plan["margins"]["way_back"], name="way_back.left"),
        above(old, GONE, "way_back.edited_direction_lost"),
    ]


def locating(value: Values, plan: Plan) -> list[Test]:
    start = "editing.located"
    within = column(value, f"{start}.tracing_source.within_variance")
    return [
        above(
            column(value, f"{start}.tracing_source.over_layers"),
            OVER_LAYERS,
            "locating.over_layers",
        ),
        non_superiority(within, plan["margins"]["locating"], name="locating.within_layers"),
        above(column(value, f"{start}.layer_alone"), BY_LAYER, "locating.layer_alone"),
    ]


def erasure(value: Values, plan: Plan) -> list[Test]:
    tests = []
    for method in METHODS:
        for order in ORDERS:
            start, name = f"erasure.both.{order}.{method}", f"erasure.{order}.{method}"
            lost, control = (column(value, f"{start}.{which}") for which in ("ratio", "control"))
            margin = plan["margins"]["erasure"]
            tests.append(non_superiority(lost, margin, name=f"{name}.other_order"))
            tests.append(above(control, HALF, f"{name}.other_template"))
    return tests


STUDY = Study(
    name=NAME,
    plan="prereg_weights",
    added=ADDED,
    beginnings=tuple(f"{kind}." for kind in ADDED),
    by_seed=BY_SEED,
    questions=(weights, reverse, readout, edits, way_back, locating, erasure),
    equivalences=("reverse",),
)

if __name__ == "__main__":
    STUDY.main(str(__doc__))
