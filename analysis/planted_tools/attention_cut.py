"""Does knocking out attention to the entity find the layer that brings the answer?"""

from analysis.planted_tools.attention import written_heads
from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.logit_attribution import EPSILON, rounded, writer
from interp_rc.models.planted.plan import Planted
from interp_rc.records.nouns import Order
from interp_rc.tools.patching.attention_cut import ALL, cut_costs
from interp_rc.tools.patching.discoveries import discoveries, first_place

MOST = 20.0  # nats that a planted answer has, roughly: rounding is a share of them


def find(one: Planted, order: Order) -> Finding:
    """The planted place is the layer whose attention brings the answer to the last token: cutting
    the entity off there costs the answer. Layers whose attention has no weights are null, for the
    entity and for other tokens alike. A decoy's layer is not the first, but no null either: without
    its useless output the stream is shorter, and the norm makes the answer a little surer.
    """
    model = rounded(one)
    table = cut_costs(model, one.contrasts[order])
    table = table[table.layer != ALL].assign(site="pattern", structural_zero=False)
    table["effect"], table["place"] = table.cost, table["keys"]
    tests = discoveries(table, 10 * EPSILON * MOST, "at")
    names = "at.pattern.layer_" + table.layer.astype(str) + "." + table.place
    null = ~table.layer.isin([layer for layer, _ in written_heads(model)])
    at_null = table[null].groupby(names[null]).effect.mean()
    planted = ("pattern", writer(one, order)[1], "source")
    return finding(first_place(table) == planted, tests, set(names[null]), list(at_null))
