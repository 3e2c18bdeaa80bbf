"""What the table of erasures comes to: damages, ratios, and tests over facts."""

from itertools import product
from typing import get_args

import pandas as pd

from interp_rc.measures.erasure.verdict import (
    HALF,
    Stores,
    control,
    damages,
    ratio,
    together,
    verdict,
)
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate, Outcome, Test, Verdict
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import RATE
from interp_rc.stats.means import add_mean

NAME = "erasure"
OUTCOMES: dict[Stores, Outcome] = {
    "one store": "supported",
    "two stores": "refuted",
    "inconclusive": "inconclusive",
}
AXES = {"group": "group", "order": "order", "method": "method"}


def erasure_estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """By group, order erased and method: by role the lead that was lost [nat]; how much it took
    and how many facts lost as much as they should; of the other order's answer, what its lead lost
    after other facts' prompts (`elsewhere`), and how often it is said, as is the own. Of facts told
    in both orders also both ratios, and how often they were said before."""
    found = Estimates(NAME)
    for key, rows in table.groupby([*AXES.values()], sort=False):
        of = dict(zip(AXES, key, strict=True))
        by_role = {str(role): part for role, part in rows.groupby("role", sort=False)}
        means = [(part.damage, "nat", {"role": role}) for role, part in by_role.items()]
        means += [
            (by_role["cross_floor"].elsewhere, "nat", {"quantity": "elsewhere"}),
            (by_role["own"].dose, "dose", {"quantity": "dose"}),
            (by_role["own"].reached, RATE, {"quantity": "reached"}),
        ]
        for when in ("said", "said_before") if of["group"] == "both" else ("said",):
            means += [
                (by_role[role][when], RATE, {"quantity": when, "role": role})
                for role in ("own", "cross")
            ]
        for values, unit, what in means:
            add_mean(found, values.to_numpy(float), unit, seed, **of, **what)
        if of["group"] == "both":
            for quantity, shared in (("ratio", ratio), ("control", control)):
                use = derive_seed(seed, found.name(**of), quantity)
                found.add(shared(rows, use), **of, quantity=quantity)
    return found


def judge(found: Estimates) -> list[Verdict]:
    """Is what was learnt in both orders in one store? Refuted where it is in two. To `found` is
    added how many ways to erase (an order, by a method) say one store, two stores or neither."""
    ways = product(found.each("order"), found.each("method"))
    ratios = [
        [
            found.of(group="both", order=order, method=method, quantity=quantity)
            for quantity in ("ratio", "control")
        ]
        for order, method in ways
    ]
    said = [verdict(*pair) for pair in ratios]
    counts = {stores: said.count(stores) for stores in get_args(Stores)}
    for stores, many in counts.items():
        one = Estimate(float(many), None, None, len(said), "ways to erase")
        found.add(one, group="both", quantity=f"says_{stores.replace(' ', '_')}")
    checked = [control.value for _, control in ratios if control.value is not None]
    least_most = f"{min(checked):.2f} to {max(checked):.2f}" if checked else "nothing"
    return [
        Verdict(
            "one_store",
            OUTCOMES[together(said)],
            f"Of {len(said)} ways to erase facts told in both orders, each judged by what the "
            "other order loses of what the erased one does: "
            f"{', '.join(f'{many} {stores}' for stores, many in counts.items())}.",
            "The erased order in templates that it was not erased in, which is one store: "
            f"{least_most} of what was lost where it was erased.",
        )
    ]


def erasure_tests(table: pd.DataFrame) -> list[Test]:
    """Of facts told in both orders, by method and order erased: does the other order lose less than
    half of what the erased one does? And, as it must, the erased order more than half in other
    templates of what it does in those it was erased in? One-sided paired t over facts, Holm."""
    tests = []
    for key, rows in table[table.group == "both"].groupby([*AXES.values()], sort=False):
        start, found = ".".join([NAME, *map(str, key)]), damages(rows)
        if len(found["own"]) < 2:
            continue
        name = f"{start}.other_order_loses_less_than_half"
        tests.append(paired_t(found["cross"], HALF * found["own"], name=name, alternative="less"))
        name = f"{start}.other_template_loses_more_than_half"
        tests.append(
            paired_t(found["own"], HALF * found["erasing"], name=name, alternative="greater")
        )
    return holm(tests)
