"""What the table of edits comes to: estimates and tests over facts."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import TOLD_IN
from interp_rc.records.numbers import Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.intervals import bootstrap_mean, t_mean
from interp_rc.stats.margins import judges, margin_of
from interp_rc.stats.means import add_mean, means_by_fact

NAME = "editing"
GAINED = "reverse_gained"  # what A gains as the answer to B' more than other names do
OLD, OLD_BACK = "old_lead", "old_reverse_lead"  # what the old answer has over other facts'
OVER = {
    GAINED: ("reverse", "reverse_control"),
    OLD: ("old", "old_control"),
    OLD_BACK: ("old_reverse", "old_reverse_control"),
}
LEADS = (OLD, OLD_BACK)
BASE = ("paraphrase", GAINED)  # asked of the base model, to which facts are new
ASKED = {
    "one_way": ("efficacy", "paraphrase", "old", "specificity", GAINED, "old_reverse", *LEADS),
    "two_way": ("efficacy", "paraphrase", "specificity", GAINED),
    "batch": ("paraphrase", "specificity", GAINED),
}
OVERALL = ("efficacy",)  # by order and group it would add little
SAID = ("paraphrase", "specificity", "reverse")
ONCE, BOTH = "told_once", "told_both"
TOLD = {ONCE: "told in one order", BOTH: "told in both"}
"""What the page calls these facts, and the seeds of their profiles do."""
DRAWN = ("transplant", "tracing", "tracing_source")  # of the ways to locate

PerFact = Float[np.ndarray, " fact"]


def with_gain(table: pd.DataFrame) -> pd.DataFrame:
    """With rows of what is `OVER` a control: before, after and the effect, each less the
    control's: a ratio of probabilities does not saturate as a probability does."""
    keys = ["model", "fact", "order", "layer", "edit"]
    measured = ["before", "value", "effect"]
    found = [table]
    for name, (asked, control) in OVER.items():
        own, other = (table[table.asked == one].set_index(keys) for one in (asked, control))
        less = own[measured] - other[measured].reindex(own.index)
        found.append(own.assign(**less, asked=name).reset_index())
    return pd.concat(found, ignore_index=True)


def _cells(table: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """All facts told in one order, and in both; then by order and group."""
    yield from ((of, part) for of, part in _told(table) if len(part))
    for (order, group), part in table.groupby(["order", "group"], sort=False):
        yield {"order": str(order), "group": str(group)}, part


def _told(table: pd.DataFrame) -> list[tuple[dict[str, str], pd.DataFrame]]:
    once = table.group.map(TOLD_IN).notna()
    return [({"group": ONCE}, table[once]), ({"group": BOTH}, table[~once])]


def edit_estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """Effects [nat] by model, facts, edit and the role of what is asked, the shares said, and the
    leads that there were before. A fact that is edited in both orders counts once, with the mean.
    """
    found = Estimates(NAME)
    for model, of_model in with_gain(table).groupby("model", sort=False):
        tuned = model == "finetuned"
        for cell, some in _cells(of_model):
            whole = "order" not in cell
            for (edit, asked), part in some.groupby(["edit", "asked"], sort=False):
                of = {"model": None if tuned else model, **cell, "edit": edit, "role": asked}
                by_fact = part.groupby("fact")[["before", "effect", "said"]].mean()
                wanted = asked in ASKED[str(edit)] and (whole or asked not in OVERALL)
                if wanted and (tuned or asked in BASE):
                    add_mean(found, by_fact.effect.to_numpy(float), "nat", seed, **of)
                if wanted and tuned and whole and asked in LEADS:
                    before = by_fact.before.to_numpy(float)
                    add_mean(found, before, "nat", seed, **of, when="before")
                if asked in (SAID if tuned else SAID[:1]) and whole:
                    said = by_fact.said.to_numpy(float)
                    add_mean(found, said, "fraction", seed, **of, quantity="said")
    return found


def by_layer(edits: pd.DataFrame, places: pd.DataFrame, seed: int) -> Estimates:
    """Layer by layer, of facts told in one order and in both [nat]: what the new answer gains in
    other words from an edit there (`edited`), and what the ways to locate find there."""
    found = Estimates(NAME)
    parts = {"edited": edits[edits.asked == "paraphrase"]}
    parts |= {way: places[places.by == way] for way in DRAWN}
    for way, part in parts.items():
        for cell, some in _told(part):
            for of, values in means_by_fact(some, {"layer": "layer"}):
                use = derive_seed(seed, "report", NAME)
                use = derive_seed(use, TOLD[cell["group"]], str(of["layer"]))
                estimate = bootstrap_mean(values, "nat", seed=use)
                found.add(estimate, part="by_layer", method=way, **cell, **of)
    return found


def edit_tests(table: pd.DataFrame) -> list[Test]:
    """Does the other direction come along with an edit of the finetuned model?

    Of facts told in one order: after an edit one way A gains, as the answer to B', no more than
    other names do (non-superiority; the margin is 5 % of what it gains over them after an edit both
    ways, which is the unit that is tested, so exploratory unless it was fixed beforehand); after an
    edit both ways it gains more, which shows that it could have been seen. Of facts told in both: A
    loses, as the answer to B, no more than 5 % of the lead over other names that it had there
    before; if one store held both ways it would lose what the old answer does. Without a margin
    that can judge (`stats.margins.judges`) there is no test against it. Holm over all.
    """
    gained = with_gain(table)
    tests = []
    for cell, part in _told(gained[gained.model == "finetuned"]):
        by = part.pivot_table(index="fact", columns=["edit", "asked"], values="effect")
        if len(by) < 2:
            continue
        name = f"{NAME}.{cell['group']}"
        if cell["group"] == BOTH:
            lost = -by["one_way", OLD_BACK].to_numpy(float)
            led = part[(part.edit == "one_way") & (part.asked == OLD_BACK)]
            lead = led.groupby("fact").before.mean().to_numpy(float)
            tests += _within(lost, lead, f"{name}.one_way_leaves_the_way_back")
            continue
        one, two = (by[edit, GAINED].to_numpy(float) for edit in ("one_way", "two_way"))
        tests += _within(one, two, f"{name}.one_way_not_back")
        back, nothing = f"{name}.two_way_back", np.zeros_like(two)
        tests.append(paired_t(two, nothing, name=back, alternative="greater"))
    return holm(tests)


def _within(values: PerFact, control: PerFact, name: str) -> list[Test]:
    """The test that `values` stay below 5 % of the control, which is in their unit; none where the
    control shows too little to judge by."""
    margin = margin_of(control)
    if margin is None or not judges(margin, t_mean(control, "nat")):
        return []
    return [non_superiority(values, margin, name=name)]
