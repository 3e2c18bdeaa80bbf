"""Does direct logit attribution find what writes the planted answer?"""

import copy

import pandas as pd
import torch

from analysis.planted_tools.finding import Finding, finding
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import Planted
from interp_rc.records.nouns import Order
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.patching.discoveries import discoveries, first_place

EPSILON = torch.finfo(torch.float32).eps


def find(one: Planted, order: Order) -> Finding:
    """The planted place is the attention that brings the answer to the prompt's last token: the
    carrier, or the store itself where that is attention.

    Nothing else there has a direct effect, not even a store in an MLP, which writes where the
    entity stands: target and foil are read from dimensions that only this attention writes to the
    last token, and nothing reads what decoys write. So every other attention and MLP is null; so is
    every head of the planted layer but one, which is not known here and not tested.
    """
    table = logit_attribution(rounded(one), one.contrasts[order])
    floor = table[table.site == "residual"].effect.abs().max()
    table = table[(table.against == "foil") & table.site.isin(["attn_out", "mlp_out"])]
    table = table.assign(place="prompt", structural_zero=False)
    return judged(table, writer(one, order), float(floor))


def rounded(one: Planted) -> Loaded:
    """The planted model in float32: in float64 all facts have one and the same effect, on which no
    test can be made."""
    return Loaded(copy.deepcopy(one.loaded.model).float(), one.loaded.tokenizer)


def writer(one: Planted, order: Order) -> tuple[str, int, str]:
    """Component, layer and place of what writes the answer to the last token."""
    at = (one.carriers[order] or [one.store[order]])[0]
    return at.place.component, at.place.layer, at.span


def judged(table: pd.DataFrame, planted: tuple[str, int, str], floor: float) -> Finding:
    """All sites of the table but the planted one are null."""
    tests = discoveries(table, floor, "at")
    names = "at." + table.site + ".layer_" + table.layer.astype(str) + "." + table.place
    component, layer, place = planted
    null = names != f"at.{component}.layer_{layer}.{place}"
    at_null = table[null].groupby(names[null]).effect.mean()
    return finding(first_place(table) == planted, tests, set(names[null]), list(at_null))
