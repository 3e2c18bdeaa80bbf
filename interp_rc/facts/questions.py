"""Questions and answers: from a small grammar, in which each kind of question has its answers."""

import random
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import islice, product
from typing import Any

from interp_rc.facts.people import SLOT, Person
from interp_rc.records.errors import DataError
from interp_rc.records.packaged import packaged
from interp_rc.records.seeds import generator
from interp_rc.records.strict_yaml import read_yaml

PER_KIND = 30
"""Answers that one set gives to all its questions of a kind: one guessed blindly is right in a
thirtieth of cases, as in the published data, where `No` alone answers 28 questions of 1,100."""


@cache
def source(file: str) -> dict[str, Any]:
    content = read_yaml(packaged("data") / "instructions" / file)
    if not isinstance(content, dict):
        raise DataError("found no mapping; install interp-rc again", file=file)
    return content


def question_stream(seed: int, avoid: Collection[str] = ()) -> Iterator[Person]:
    """Endless distinct questions (`name`), each with its answer in all three forms.

    Questions of one kind share PER_KIND answers. No question and no answer is one of `avoid`.
    """
    draw = generator(seed, "questions")
    kinds, slots = source("questions.yaml")["kinds"], source("questions.yaml")["slots"]
    answers = [_answers(kind["answer"], slots, draw, avoid) for kind in kinds]
    taken = set(avoid)
    failures = 0
    while failures < 10_000:
        number = draw.randrange(len(kinds))
        question = _fill(draw.choice(kinds[number]["ask"]), slots, draw)
        if question in taken:
            failures += 1
            continue
        failures = 0
        taken.add(question)
        answer = draw.choice(answers[number])
        yield Person(question, answer, answer, answer)
    raise DataError(f"the grammar is used up after {len(taken) - len(set(avoid))} questions")


def questions(seed: int, count: int, avoid: Collection[str] = ()) -> list[Person]:
    """The first `count` questions of the seed's stream."""
    return list(islice(question_stream(seed, avoid), count))


def _fill(pattern: str, slots: Mapping[str, list[str]], draw: random.Random) -> str:
    """Words in the slots of a pattern, and in the slots of these."""
    while SLOT.search(pattern):
        pattern = SLOT.sub(lambda slot: draw.choice(slots[slot[1]]), pattern)
    return pattern


def _answers(
    patterns: list[str],
    slots: Mapping[str, list[str]],
    draw: random.Random,
    avoid: Collection[str],
) -> list[str]:
    """PER_KIND answers of a kind, none of them one of `avoid`; DataError if too few are left."""
    left = []
    for pattern in patterns:
        for words in product(*(slots[slot] for slot in SLOT.findall(pattern))):
            filling = iter(words)
            left.append(SLOT.sub(lambda _, words=filling: next(words), pattern))  # type: ignore[misc]
    left = [answer for answer in left if answer not in avoid]
    if len(left) < PER_KIND:
        raise DataError(
            f"{len(left)} answers {patterns[0]!r} are left, needed are {PER_KIND}; "
            "ask for fewer facts"
        )
    return draw.sample(left, PER_KIND)
