"""What the table of edits comes to: estimates and tests over facts."""

import numpy as np
import pandas as pd

from interp_rc.records.nouns import TOLD_IN
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.intervals import bootstrap_mean

NAME = "editing"
GAINED = "reverse_gained"  # what A gains as the answer to B' more than other names do
TOLD: dict[str, tuple[str, ...]] = {
    "one_way": ("efficacy", "paraphrase", "old", "specificity", GAINED, "old_reverse"),
    "two_way": ("efficacy", "paraphrase", "specificity", GAINED),
    "batch": ("paraphrase", "specificity", GAINED),
}
SAID = ("efficacy", "paraphrase", "specificity", "reverse")
MARGIN_SHARE = 0.05
CELL = ["model", "order", "subset", "edit"]


def with_gain(table: pd.DataFrame) -> pd.DataFrame:
    """With rows `reverse_gained`: the effect of `reverse` less that of `reverse_control`."""
    keys = ["model", "fact", "order", "layer", "edit"]
    own = table[table.asked == "reverse"].set_index(keys)
    control = table[table.asked == "reverse_control"].set_index(keys).effect
    gained = own.assign(
        effect=own.effect - control.reindex(own.index), asked=GAINED, before=np.nan, value=np.nan
    )
    return pd.concat([table, gained.reset_index()], ignore_index=True)


def edit_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Effects [nat] by model, order, subset, edit and what is asked, and the shares said."""
    found = {}
    for key, part in with_gain(table).groupby([*CELL, "asked"], sort=False):
        model, order, subset, edit, asked = map(str, key)
        start = NAME if model == "finetuned" else f"{NAME}.{model}"
        name = f"{start}.{order}.{subset}.{edit}.{asked}"
        if asked in TOLD[edit] and (model == "finetuned" or asked in ("paraphrase", GAINED)):
            found[name] = _mean(part.effect, "nat", seed, name)
        if asked in SAID and model == "finetuned" and edit != "batch":
            found[f"{name}.said"] = _mean(part.said, "fraction", seed, f"{name}.said")
    return found


def _mean(values: "pd.Series[float]", unit: str, seed: int, name: str) -> Estimate:
    return bootstrap_mean(values.to_numpy(float), unit, seed=derive_seed(seed, name))


def edit_tests(table: pd.DataFrame) -> list[Test]:
    """Does the other direction come along with an edit of the finetuned model?

    Of facts told in one order: after an edit one way A gains, as the answer to B', no more than
    other names do (non-superiority; the margin is 5 % of what the new answer gains in other words,
    so exploratory unless it was fixed beforehand); after an edit both ways it gains more, which
    shows that it could have been seen. Of facts told in both: that B leads to A loses no more than
    5 % of what the old answer does, as it would if one store held both ways. Holm over all.
    """
    gained = with_gain(table)
    tests = []
    for key, part in gained[gained.model == "finetuned"].groupby(["order", "subset"], sort=False):
        by = part.pivot_table(index="fact", columns=["edit", "asked"], values="effect")
        name = ".".join([NAME, *map(str, key)])
        if len(by) < 2:
            continue
        if TOLD_IN[str(key[1])] is None:
            lost = -by["one_way", "old_reverse"].to_numpy(float)
            margin = -MARGIN_SHARE * float(by["one_way", "old"].mean())
            name = f"{name}.one_way_leaves_the_way_back"
            tests += [non_superiority(lost, margin, name=name)] if margin > 0 else []
            continue
        one, two = (by[edit, GAINED].to_numpy(float) for edit in ("one_way", "two_way"))
        margin = MARGIN_SHARE * float(by["one_way", "paraphrase"].mean())
        if margin > 0:
            tests.append(non_superiority(one, margin, name=f"{name}.one_way_not_back"))
        back, nothing = f"{name}.two_way_back", np.zeros_like(two)
        tests.append(paired_t(two, nothing, name=back, alternative="greater"))
    return holm(tests)
