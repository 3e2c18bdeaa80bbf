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
from interp_rc.facts.templates import Template, Wording, composed_templates, packaged_templates
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, TRAINED
from interp_rc.records.seeds import generator

# A base corpus leaves out the people of every dose up to this many times `per_group`.
LARGEST_DOSE = 2


def choose_templates(
    seed: int,
    training: int,
    held_out: int,
    held_out_seen: Literal["elsewhere", "nowhere"],
    *,
    wording: Wording = "statement",
    apart: int = 0,
) -> list[Template]:
    """All templates of a wording, in each order `training` and `held_out` of them given that role.

    The held-out ones come after the first `apart`, if there are that many to spare: so they are the
    same ones for any `training` up to it. Statements are the packaged ones and, only where these
    do not suffice, the composed ones too.
    """
    chosen: list[Template] = []
    for order in ORDERS:
        pool = [t for t in packaged_templates(wording) if t.order == order]
        if training + held_out > len(pool) and wording == "statement":
            pool += [t for t in composed_templates() if t.order == order]
        if training + held_out > len(pool):
            raise DataError(
                f"{training} training and {held_out} held-out templates were asked for, "
                f"but there are {len(pool)} in {order} order; ask for fewer"
            )
        generator(seed, "templates", order).shuffle(pool)
        first = max(training, min(apart, len(pool) - held_out))
        for index, template in enumerate(pool):
            if index < training:
                template = replace(template, role="training")
            elif first <= index < first + held_out:
                template = replace(template, role="held_out", in_base=held_out_seen == "elsewhere")
            chosen.append(template)
    return chosen


def fictitious_people(
    seed: int,
    *,
    per_group: int = 30,
    both: int | None = None,
    training_templates: int = 30,
    held_out_templates: int = 10,
    held_out_seen: Literal["elsewhere", "nowhere"] = "elsewhere",
    exposures: int | None = None,
    form: Wording = "statement",
    both_in: Literal["separate", "one_document"] = "separate",
) -> FactSet:
    """Three groups of facts: told name first, description first, and in both orders.

    The defaults give the shape of Berglund et al. (2023, arXiv:2309.12288, section 2.1): 3,600
    documents; 600 same-order, 600 reverse and 600 `both` queries. `both` facts are told in both
    orders (None: `per_group`); whatever the dose, the other groups are the same people, a larger
    dose holds the smaller one, and a base corpus may be told the same of others.
    Raises DataError for a dose above `LARGEST_DOSE` x `per_group`.
    """
    templates = choose_templates(
        seed,
        training_templates,
        held_out_templates,
        held_out_seen,
        wording=form,
        apart=exposures or 0,
    )
    most = per_group if both is None else LARGEST_DOSE * per_group
    dose = most if both is None else both
    if dose > most:
        raise DataError(
            f"{dose} facts told in both orders were asked for, at most {most} can be "
            f"({LARGEST_DOSE} x per_group); ask for fewer, or raise facts.per_group"
        )
    persons = people(seed, 2 * per_group + most)
    counts = dict(zip(TRAINED, (per_group, per_group, dose), strict=True))
    drawn = iter(persons)
    told = [
        pair
        for group, count in counts.items()
        for pair in facts_about([next(drawn) for _ in range(count)], group, group)
    ]
    return FactSet(
        facts=[fact for fact, _ in told],
        relations=[DESCRIBED_AS],
        templates=templates,
        documents=documents_about(
            told, templates, exposures=exposures, together=both_in == "one_document"
        ),
        queries=queries_about(told, templates),
        seed=seed,
        reserved=[text for person in drawn for text in (person.name, person.noun)],
    )
