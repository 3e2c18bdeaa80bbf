"""Does the logit lens see the planted answer where it is written, and not before?"""

import pandas as pd

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.logit_attribution import EPSILON, rounded, writer
from interp_rc.measures.lens.measure import over_foil
from interp_rc.models.planted.plan import Planted
from interp_rc.records.nouns import Order
from interp_rc.tools.patching.discoveries import discoveries, is_discovery
from interp_rc.tools.readout.logit_lens import logit_lens


def find(one: Planted, order: Order) -> Finding:
    """The planted place is the stream right after the attention that brings the answer to the last
    token (`resid_mid` of its layer): there the answer appears, and stays. The stages before it are
    null: target and foil are equally likely, decoys or not."""
    model = rounded(one)
    table = over_foil(logit_lens(model, one.contrasts[order]))
    table = table[table.place == "answer"].assign(structural_zero=False)
    table["effect"] = table.over_foil
    tests = discoveries(table, 10 * EPSILON * float(table.log_prob.abs().max()), "at")
    names = [f"at.{site}.layer_{layer}.answer" for site, layer in _in_turn(table)]
    appears = f"at.resid_mid.layer_{writer(one, order)[1]}.answer"
    called = {test.name for test in tests if is_discovery(test)}
    before = names[: names.index(appears)]
    means = table.groupby(["site", "layer"]).effect.mean()
    at_null = [means[stage] for stage in list(_in_turn(table))[: len(before)]]
    first = next((name for name in names if name in called), None) == appears
    stays = set(names[names.index(appears) :]) <= called
    return finding(first and stays, tests, set(before), at_null)


def _in_turn(table: pd.DataFrame) -> dict[tuple[str, int], None]:
    """The stages of the stream, from the embedding on."""
    return dict.fromkeys(zip(table.site, table.layer, strict=True))
