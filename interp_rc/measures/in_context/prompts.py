"""The prompts of the in-context measure: for every fact the same examples in all contexts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from interp_rc.facts.in_context import (
    OTHER_ORDER,
    Wording,
    asking,
    examples,
    question,
    record,
    statement,
    target,
)
from interp_rc.measures.in_context.chain_of_thought import open_question, reasoned
from interp_rc.records.nouns import ORDERS, Direction, Fact, Order
from interp_rc.records.seeds import generator

Context = Literal["shots", "list", "other"]
CONTEXTS: tuple[Context, ...] = ("shots", "list", "other")
DIRECTIONS: tuple[Direction, ...] = ("same", "reverse")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question about a fact that its own prompt states.

    `context` is `shots` (worked examples about other people, then the fact, then the question),
    `list` (the fact among those of other people, all stated before the question) or `other` (as
    `shots`, but another fact is stated instead). `order` is the question's, `direction` whether it
    is the statement's. `stated` are the targets that the facts of the context would have;
    `last` is that of the fact stated right before the question.
    """

    id: str
    fact: Fact
    context: Context
    order: Order
    direction: Direction
    text: str
    target: str
    stated: list[str]
    last: str


def prompts(
    facts: Sequence[Fact], wording: Wording, *, shots: int, seed: int, thinking: bool = False
) -> list[Prompt]:
    """Every fact in both directions and both orders after `shots` and in `list`; reversed
    questions only after another fact (`other`)."""
    return [
        prompt for fact in facts for prompt in _about(fact, facts, wording, shots, seed, thinking)
    ]


def _about(
    fact: Fact, facts: Sequence[Fact], wording: Wording, shots: int, seed: int, thinking: bool
) -> list[Prompt]:
    draw = generator(seed, "in_context", fact.id)
    *shown, other = draw.sample([one for one in facts if one.id != fact.id], shots + 1)
    mixed = draw.sample([*shown, fact], shots + 1)
    found = []
    for context in CONTEXTS:
        for order in ORDERS:
            for direction in DIRECTIONS:
                if context == "other" and direction == "same":
                    continue
                stated = order if direction == "same" else OTHER_ORDER[order]
                if context == "list":
                    held, begin = mixed, record(mixed, stated, wording)
                else:
                    held = [*shown, other if context == "other" else fact]
                    begin = _examples(shown, stated, order, wording, thinking)
                    begin += f"{statement(held[-1], stated, wording)}\n"
                ask = (
                    open_question(question(fact, order, wording))
                    if thinking
                    else asking(fact, order, wording)
                )
                found.append(
                    Prompt(
                        f"{fact.id}/{context}.{direction}.{order}",
                        fact,
                        context,
                        order,
                        direction,
                        begin + ask,
                        target(fact, order),
                        [target(one, order) for one in held],
                        target(held[-1], order),
                    )
                )
    return found


def _examples(
    shown: Sequence[Fact], stated: Order, asked: Order, wording: Wording, thinking: bool
) -> str:
    if not thinking:
        return examples(shown, stated, asked, wording)
    return "".join(
        f"{said}\n{reasoned(question(one, asked, wording), said, target(one, asked))}\n\n"
        for one in shown
        for said in [statement(one, stated, wording)]
    )
