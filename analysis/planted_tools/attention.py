"""Does attention look at the entity with the heads that were written to, and no others?"""

import torch

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.logit_attribution import EPSILON, rounded
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import WIDTH, Planted
from interp_rc.records.nouns import Order
from interp_rc.tools.patching.discoveries import discoveries, first_place
from interp_rc.tools.readout.attention import attention
from interp_rc.tools.readout.linear_parts import written_by_heads


def find(one: Planted, order: Order) -> Finding:
    """The planted place is the head that brings what the entity holds to the last token.

    A decoy's head looks at the entity, too, and moves what nothing reads: attention cannot tell
    the two, and either may come first. Heads that were not written have no weights at all, look at
    every token alike, and are null: the effect is attention to the source less uniform attention.
    """
    model = rounded(one)
    table = attention(model, one.contrasts[order])
    table = table[(table["query"] == "answer") & (table["keys"] == "source")]
    table = table.assign(effect=table.weight - table.uniform, site="pattern", structural_zero=False)
    table["place"] = "head_" + table["head"].astype(str)
    written = written_heads(model)
    tests = discoveries(table, 10 * EPSILON, "at")
    names = "at.pattern.layer_" + table.layer.astype(str) + "." + table.place
    places = [(layer, f"head_{head}") for layer, head in written]
    null = ~names.isin([f"at.pattern.layer_{layer}.{place}" for layer, place in places])
    at_null = table[null].groupby(names[null]).effect.mean()
    return finding(first_place(table)[1:] in places, tests, set(names[null]), list(at_null))


def written_heads(model: Loaded) -> list[tuple[int, int]]:
    """Layer and head of every head that can add anything to the stream."""
    layers = Adapter(model.model).by_layers
    z = torch.eye(WIDTH, dtype=model.model.dtype)
    with torch.no_grad():
        return [
            (layer, head)
            for layer in range(layers.layers)
            for head, written in enumerate(written_by_heads(layers, layer, z))
            if written.abs().max() > 0
        ]
