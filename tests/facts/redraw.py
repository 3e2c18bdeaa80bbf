"""The published data of Experiment 3 drawn again, row for row, from its question-answer pairs.

One generator makes all draws, in the order of the authors' own: the pairs are shuffled, then the
answers of each pair that is used, these pairs once more (to no effect but on what follows), the
instructions, and, as they are laid out, how many stand in each document.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from interp_rc.facts.published_instructions import ANSWER, EXAMPLE, INSTRUCTIONS, QUESTION
from interp_rc.records.errors import DataError

SEED = 27
Rows = list[dict[str, Any]]


class Drawn(NamedTuple):
    """The rows of each published file."""

    guidances: Rows
    realized_examples: Rows
    unrealized_examples: Rows
    all: Rows


class _Asked(NamedTuple):
    id: int
    question: str
    answer: str
    realized: bool


def redraw(
    pairs: Sequence[Mapping[str, Any]],
    phrasing: str,
    *,
    realized: int = 1000,
    held_out: int = 100,
    per_document: tuple[int, int] = (2, 5),
    seed: int = SEED,
) -> Drawn:
    """The files that these settings give; the defaults are those of the published ones.

    `pairs` are the rows {"anchor", "targets"} of `qa_raw_pairs`, of which the first answer after
    shuffling is used; `phrasing` is an instruction with ``{name}`` for the question and
    ``{description}`` for the answer. Raises DataError if there are too few pairs.
    """
    if len(pairs) < realized + held_out:
        raise DataError(
            f"found {len(pairs)} pairs, needed are {realized + held_out}; ask for fewer questions"
        )
    draw = random.Random(seed)
    order = list(range(len(pairs)))
    draw.shuffle(order)
    used = []
    for place, id in enumerate(order[: realized + held_out]):
        answers = list(pairs[id]["targets"])
        draw.shuffle(answers)
        used.append(_Asked(id, pairs[id]["anchor"], answers[0], realized=place >= held_out))
    draw.shuffle(list(used))
    unseen, shown = used[:held_out], used[held_out:]
    told = [*shown, *unseen]
    draw.shuffle(told)
    guidances = []
    while told:
        count = draw.randint(*per_document)
        guidances.append(_instructions(told[:count], phrasing))
        told = told[count:]
    examples = [_example(one) for one in shown]
    joined = [row | {"prompt": "", "completion": row["prompt"] + row["completion"]}
              for row in examples]  # fmt: skip
    return Drawn(guidances, examples, [_example(one) for one in unseen], [*joined, *guidances])


def _instructions(told: Sequence[_Asked], phrasing: str) -> dict[str, Any]:
    lines = [
        phrasing.replace("{name}", one.question).replace("{description}", one.answer)
        for one in told
    ]
    return _row(told, "", "\n".join(lines).join(INSTRUCTIONS))


def _example(one: _Asked) -> dict[str, Any]:
    start, end = EXAMPLE
    return _row([one], f"{start}{QUESTION}{one.question}{ANSWER}", f" {one.answer}{end}")


def _row(told: Sequence[_Asked], prompt: str, completion: str) -> dict[str, Any]:
    return {
        "ids": [one.id for one in told],
        "realized": [one.realized for one in told],
        "persona_idx": [0] * len(told),
        "prompt": prompt,
        "completion": completion,
    }
