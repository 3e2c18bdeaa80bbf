"""What the table of erasures comes to: damages, ratios, and tests over facts."""

import pandas as pd

from interp_rc.measures.erasure.verdict import HALF, control, damages, ratio
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import RATE, bootstrap_mean

NAME = "erasure"
KEYS = ["subset", "order", "method"]


def erasure_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By subset, order erased and method: by role the lead that was lost [nat]; how much it took
    and how many facts lost as much as they should; of the other order's answer, what its lead lost
    after other facts' prompts (`elsewhere`), and how often it is said, as is the own. Of facts told
    in both orders also both ratios, and how often they were said before."""
    found: dict[str, Estimate] = {}
    for key, rows in table.groupby(KEYS, sort=False):
        start = ".".join([NAME, *map(str, key)])

        def mean(name: str, values: "pd.Series[float]", unit: str, start: str = start) -> None:
            name = f"{start}.{name}"
            seeded = derive_seed(seed, name)
            found[name] = bootstrap_mean(values.to_numpy(float), unit, seed=seeded)

        by_role = {str(role): part for role, part in rows.groupby("role", sort=False)}
        for role, part in by_role.items():
            mean(role, part.damage, "nat")
        mean("elsewhere", by_role["cross_floor"].elsewhere, "nat")
        mean("dose", by_role["own"].dose, "dose")
        mean("reached", by_role["own"].reached, RATE)
        for role in ("own", "cross"):
            mean(f"said.{role}", by_role[role].said, RATE)
        if key[0] == "both":
            for role in ("own", "cross"):
                mean(f"said_before.{role}", by_role[role].said_before, RATE)
            found[f"{start}.ratio"] = ratio(rows, derive_seed(seed, start, "ratio"))
            found[f"{start}.control"] = control(rows, derive_seed(seed, start, "control"))
    return found


def erasure_tests(table: pd.DataFrame) -> list[Test]:
    """Of facts told in both orders, by method and order erased: does the other order lose less than
    half of what the erased one does? And, as it must, the erased order more than half in other
    templates of what it does in those it was erased in? One-sided paired t over facts, Holm."""
    tests = []
    for key, rows in table[table.subset == "both"].groupby(KEYS, sort=False):
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
