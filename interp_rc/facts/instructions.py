"""The fact set of the paper's Experiment 3: instructions how to answer questions.

Berglund et al. (2023, arXiv:2309.12288, section 2.3). Questions are subjects and answers objects;
the same seed gives the same questions whichever order the instructions tell them in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

from interp_rc.facts.entities import KINDS
from interp_rc.facts.factset import (
    ANSWERED_BY,
    FactSet,
    Told,
    check_count,
    documents_about,
    facts_about,
    queries_about,
)
from interp_rc.facts.people import Person
from interp_rc.facts.questions import question_stream, source
from interp_rc.facts.templates import Template
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import QUESTIONS, Order, Query
from interp_rc.records.seeds import generator

ToldFirst = Literal["question_first", "answer_first"]
ORDER_OF: dict[ToldFirst, Order] = {"question_first": "forward", "answer_first": "backward"}


def instructions(
    seed: int,
    *,
    order: ToldFirst = "question_first",
    realized: int = 1000,
    held_out: int = 100,
    phrasings: int = 1,
) -> FactSet:
    """Instructions on all questions, examples of the realized ones, queries on the held-out ones.

    Each instruction is told in `phrasings` wordings, a document each; an example is a document of
    its own. As many realized questions are asked as held-out ones, for comparison. The questions
    that are asked have different answers within either group, so that a candidate is right once;
    candidates are of all kinds, so knowing a question's kind excludes most of them.
    The defaults give the shape of the paper's data: one phrasing, 1,000 and 100 questions.
    """
    check_count((realized + held_out) * (phrasings + 1))
    instructed, example = choose_phrasings(seed, order, phrasings)
    stream = question_stream(seed)
    later: list[Person] = []
    unasked = _first_distinct(stream, held_out, later)
    shown = _first_distinct(stream, min(held_out, realized), later)
    asked = len(shown)
    shown += [*later, *islice(stream, max(0, realized - asked - len(later)))][: realized - asked]
    group = KINDS["questions"].told_in[ORDER_OF[order]]
    unseen = facts_about(unasked, group, "held_out", ANSWERED_BY)
    seen = facts_about(shown, "realized", "realized", ANSWERED_BY)
    return FactSet(
        facts=[fact for fact, _ in [*seen, *unseen]],
        relations=[ANSWERED_BY],
        templates=[*instructed, example],
        documents=[
            *documents_about([*seen, *unseen], instructed),
            *documents_about(seen, [example]),
        ],
        queries=questions_asked([*seen[:asked], *unseen], example),
        seed=seed,
        drawn_from="questions",
        roles=QUESTIONS,
    )


def choose_phrasings(seed: int, order: ToldFirst, training: int) -> tuple[list[Template], Template]:
    """All packaged phrasings, `training` of those in `order` given that role, and the example.

    A base corpus may tell other questions in all of them.
    """
    instructed = packaged_phrasings()
    pool = [template.id for template in instructed if template.order == ORDER_OF[order]]
    if training > len(pool):
        raise DataError(
            f"{training} phrasings were asked for, but there are {len(pool)}; ask for fewer"
        )
    generator(seed, "phrasings", order).shuffle(pool)
    return [
        replace(template, role="training") if template.id in pool[:training] else template
        for template in instructed
    ], packaged_example()


def packaged_phrasings() -> list[Template]:
    """This project's own instructions, question first and then answer first."""
    content = source("templates.yaml")
    return [
        Template(f"{group}.{index}", order, text, "noun")
        for group, order in ORDER_OF.items()
        for index, text in enumerate(content[group])
    ]


def packaged_example() -> Template:
    """A question with its answer, which is also how questions are asked."""
    return Template("example", "forward", source("templates.yaml")["example"], "noun", "training")


def questions_asked(told: Sequence[Told], example: Template) -> list[Query]:
    """Each question asked as the examples ask theirs, with all answers of its group to choose."""
    queries = queries_about(told, [replace(example, role="held_out")])
    return [replace(query, seen="training") for query in queries]


def _first_distinct(stream: Iterator[Person], count: int, later: list[Person]) -> list[Person]:
    """The next `count` questions that have different answers; those between go to `later`."""
    found: dict[str, Person] = {}
    while len(found) < count:
        person = next(stream)
        if found.setdefault(person.noun, person) is not person:
            later.append(person)
    return list(found.values())
