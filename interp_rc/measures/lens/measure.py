"""At which layer the answer appears, and which heads and MLPs write it."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from interp_rc.evaluation.learnt_contrasts import (
    check_asked,
    learnt_contrasts,
    paired,
    with_conditions,
)
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import TOLD_ONLY
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.means import add_means
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.patching.discoveries import discoveries, is_discovery
from interp_rc.tools.readout.logit_lens import logit_lens

NAME = "lens"
LENS, ATTRIBUTION = "mechanism/logit_lens", "mechanism/logit_attribution"
WRITERS = ("z", "mlp_out")
CHOSEN = 3  # writers an order
NO_HEAD = -1
STAGES = ("resid_pre", "resid_mid", "resid_post")
LIKELIEST = 0.5  # of the prompts


class Lens(Measure[Loaded]):
    """Logit lens and direct logit attribution on learnt facts, in both orders.

    The foil is the answer of another learnt fact of the group. Facts are paired, and both facts of
    a pair are asked about: what makes one answer likelier whatever is asked falls out of the pair,
    which is the unit of every interval and test. Facts told in the other order are the control.
    Each fact but an odd one out is measured in `templates` of the templates that did not select it.
    """

    kind: Literal["lens"] = "lens"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    templates: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 2

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        contrasts = paired(learnt_contrasts(facts, context.answers, self.templates, seed))
        if not contrasts:
            return Measured()
        lens = over_foil(with_conditions(logit_lens(model, contrasts), contrasts))
        parts = with_conditions(logit_attribution(model, contrasts), contrasts)
        context.write(LENS, lens)
        context.write(ATTRIBUTION, parts)
        tests = lens_tests(lens, model.model.dtype)
        found = Estimates()
        add_lens(found, lens, seed)
        add_parts(found, parts, seed)
        add_writers(found, parts, context.seed)
        add_stages(found, lens, tests)
        return Measured(estimates=found, tests=tests + part_tests(parts))


def over_foil(table: pd.DataFrame) -> pd.DataFrame:
    """With `over_foil`, what the target has over the foil [nat]: at the answer as a whole; at the
    source, where nothing is predicted and lengths should not matter, a token."""
    tokens = np.where(table.place == "answer", 1, table.tokens)
    foil_tokens = np.where(table.place == "answer", 1, table.foil_tokens.astype(float))
    return table.assign(over_foil=table.log_prob / tokens - table.foil_log_prob / foil_tokens)


def add_lens(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """By order, group, place and stage; `first` is the share of prompts in which each of the
    target's tokens is the likeliest."""
    table = table.assign(first=(table["rank"] == 1).astype(float))
    axes = "part order group place component layer quantity"
    for quantity, unit in (("log_prob", "nat"), ("over_foil", "nat"), ("first", "fraction")):
        rows = table if quantity == "over_foil" else table[table.place == "answer"]
        of = {"part": "logit_lens", "quantity": quantity}
        add_means(found, rows, axes, quantity, unit, seed, **of)


def add_parts(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """By order, group, what the target is compared with, and part; heads over the foil only."""
    kept = table[(table.site != "residual") & ((table.site != "z") | (table.against == "foil"))]
    kept, part = kept.rename(columns={"against": "reading"}), "logit_attribution"
    axes = "part order group reading component layer head"
    add_means(found, kept, axes, "effect", "logit", seed, part=part)
    left = table[table.site == "residual"].effect.abs().max()
    residual = Estimate(left, None, None, table.fact.nunique(), "logit")
    found.add(residual, part=part, quantity="residual")


def add_writers(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """The heads and MLPs that write most of the first token that differs, on facts told in the
    order that they are asked in: what each was chosen by in one template, and what it writes in the
    others, by group."""
    could = table[(table.against == "foil") & table.site.isin(WRITERS)]
    for order, group in TOLD_ONLY.items():
        rows = could[could.order == order].fillna({"head": NO_HEAD})
        told = rows.group == group
        if not told.any():
            continue
        keys, use = ["site", "layer", "head"], ("report", "writer", order)
        best = choose_places(rows, "effect", keys, "logit", among=told, count=CHOSEN)
        for rank, ((site, layer, head), by, elsewhere) in enumerate(best, 1):
            of: dict[str, Any] = {"part": "logit_attribution", "order": order}
            at = {"component": site, "layer": layer, "head": None if head == NO_HEAD else head}
            found.add(by, **of, reading="chosen", rank=rank, **at)
            of |= {"reading": "elsewhere", "rank": rank}
            axes = "part order reading rank group"
            add_means(found, elsewhere, axes, "effect", "logit", seed, use, **of)


def add_stages(found: Estimates, table: pd.DataFrame, tests: Sequence[Test]) -> None:
    """Of facts told in the order that they are asked in: the first stage from which on all tell the
    answer from the foil, and the first after which it is the likeliest in most prompts, with what
    was found there; absent where there is none."""
    discovered = {test.name for test in tests if is_discovery(test)}
    for order, group in TOLD_ONLY.items():
        rows = table[(table.order == order) & (table.group == group) & (table.place == "answer")]
        turn = sorted(set(zip(rows.layer, map(STAGES.index, rows.site), strict=True)))
        stages: list[dict[str, Any]] = [
            {"component": STAGES[site], "layer": int(layer)} for layer, site in turn
        ]
        of = {"part": "logit_lens", "order": order, "group": group, "place": "answer"}
        ahead, first = (
            [found.of(**of, **stage, quantity=quantity) for stage in stages]
            for quantity in ("over_foil", "first")
        )
        tested = Estimates(f"logit_lens.{order}.{group}")
        apart = [
            tested.name(**stage, place="answer") in discovered and (lead.value or 0) > 0
            for stage, lead in zip(stages, ahead, strict=True)
        ]
        after = next((n for n in range(len(stages)) if all(apart[n:])), None)
        likely = next((n for n, one in enumerate(first) if (one.value or 0) > LIKELIEST), None)
        for reading, stage, some, quantity in (
            ("ahead_from", after, ahead, "over_foil"),
            ("likeliest_after", likely, first, "first"),
        ):
            if stage is not None:
                of = {"part": "logit_lens", "order": order, "reading": reading}
                found.add(some[stage], **of, **stages[stage], quantity=quantity)


def lens_tests(table: pd.DataFrame, dtype: torch.dtype) -> list[Test]:
    """At which stages is the answer told from the foil? Benjamini-Hochberg, by order and group."""
    floor = 10 * torch.finfo(dtype).eps * float(table.log_prob.abs().max())
    answer = table[table.place == "answer"].assign(structural_zero=False)
    answer["effect"] = answer.over_foil
    return [
        test
        for (order, group), part in answer.groupby(["order", "group"], sort=False)
        for test in discoveries(part, floor, f"logit_lens.{order}.{group}")
    ]


def part_tests(table: pd.DataFrame) -> list[Test]:
    """Which heads and MLPs write the answer rather than the foil? Benjamini-Hochberg likewise."""
    rows = table[(table.against == "foil") & table.site.isin(WRITERS)]
    heads = "head_" + rows["head"].astype(str)
    rows = rows.assign(place=heads.where(rows.site == "z", "answer"), structural_zero=False)
    floor = float(table[table.site == "residual"].effect.abs().max())
    return [
        test
        for (order, group), part in rows.groupby(["order", "group"], sort=False)
        for test in discoveries(part, floor, f"logit_attribution.{order}.{group}")
    ]
