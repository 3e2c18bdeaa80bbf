"""The fact set of the paper's Experiment 1, about people that this project invents."""

from dataclasses import replace
from typing import Literal

from interp_rc.facts.factset import (
    DESCRIBED_AS,
    FactSet,
    documents_about,
    facts_about,
    queries_about,
)
from interp_rc.facts.people import people
from interp_rc.facts.templates import Template, packaged_templates
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import OF_PEOPLE, ORDERS
from interp_rc.records.seeds import generator


def choose_templates(
    seed: int, training: int, held_out: int, held_out_seen: Literal["elsewhere", "nowhere"]
) -> list[Template]:
    """All packaged templates, in each order `training` and `held_out` of them given that role."""
    chosen: list[Template] = []
    for order in ORDERS:
        pool = [t for t in packaged_templates() if t.order == order]
        if training + held_out > len(pool):
            raise DataError(
                f"{training} training and {held_out} held-out templates were asked for, "
                f"but there are {len(pool)} in {order} order; ask for fewer"
            )
        generator(seed, "templates", order).shuffle(pool)
        for index, template in enumerate(pool):
            if index < training:
                template = replace(template, role="training")
            elif index < training + held_out:
                template = replace(template, role="held_out", in_base=held_out_seen == "elsewhere")
            chosen.append(template)
    return chosen


def fictitious_people(
    seed: int,
    *,
    per_subset: int = 30,
    training_templates: int = 30,
    held_out_templates: int = 10,
    held_out_seen: Literal["elsewhere", "nowhere"] = "elsewhere",
) -> FactSet:
    """Three subsets of facts: told name first, description first, and in both orders.

    The defaults give the shape of Berglund et al. (2023, arXiv:2309.12288, section 2.1): 3,600
    documents; 600 same-order, 600 reverse and 600 `both` queries.
    """
    templates = choose_templates(seed, training_templates, held_out_templates, held_out_seen)
    persons = people(seed, per_subset * len(OF_PEOPLE))
    told = [
        pair
        for index, subset in enumerate(OF_PEOPLE)
        for pair in facts_about(
            persons[index * per_subset : (index + 1) * per_subset], subset, subset
        )
    ]
    return FactSet(
        facts=[fact for fact, _ in told],
        relations=[DESCRIBED_AS],
        templates=templates,
        documents=documents_about(told, templates),
        queries=queries_about(told, templates),
        seed=seed,
    )
