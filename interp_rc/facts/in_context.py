"""Facts stated and asked in one text: what a model can reverse that has them before its eyes.

Berglund et al. (2023, arXiv:2309.12288), appendix B.6: the prompt states a fact in one order and
asks it in the other, after a few worked examples about other people. An order is that of a
statement or of a question with its answer: `forward` goes from the name to the description.
"""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from interp_rc.facts.factset import facts_about
from interp_rc.facts.people import people
from interp_rc.records.nouns import ORDERS, Document, Fact, Order, Span, Spans
from interp_rc.records.seeds import derive_seed, generator

SHOTS = 3
# Facts of one document, in turn. Copying is learnt soonest from short texts, which cost least;
# the long ones carry it to the places that few-shot prompts reach.
SIZES = (1, 1, 1, 2, 1, 1, 1, SHOTS + 1)
WordingName = Literal["plain", "published"]


class Wording(NamedTuple):
    """A statement in each order; a question in each order; how its answer begins, up to the
    target. A statement's first letter is capitalised."""

    stated: dict[Order, str]
    question: dict[Order, str]
    lead: dict[Order, str]


WORDINGS: dict[WordingName, Wording] = {
    "plain": Wording(
        stated={
            "forward": "On record: {name} is {description}.",
            "backward": "On record: {description} is {name}.",
        },
        question={"forward": "Asked: who is {name}?", "backward": "Asked: who is {description}?"},
        lead={"forward": "Reply: that is", "backward": "Reply: that is"},
    ),
    # The format of the paper's released in_context_eval.py.
    "published": Wording(
        stated={
            "forward": "{name} is {description}.",
            "backward": "{description} is {name}.",
        },
        question={
            "forward": "Question: What is {name} known for?",
            "backward": "Question: Who is {description}?",
        },
        lead={
            "forward": "Answer: {name} is known for being",
            "backward": "Answer: The person you are asking for is",
        },
    ),
}
OTHER_ORDER: dict[Order, Order] = {"forward": "backward", "backward": "forward"}


def fill(text: str, fact: Fact) -> str:
    return text.replace("{name}", fact.subject).replace("{description}", fact.object)


def statement(fact: Fact, order: Order, wording: Wording) -> str:
    text = fill(wording.stated[order], fact)
    return text[:1].upper() + text[1:]


def question(fact: Fact, order: Order, wording: Wording) -> str:
    return fill(wording.question[order], fact)


def asking(fact: Fact, order: Order, wording: Wording) -> str:
    """The question and the beginning of its answer; `target` follows."""
    return f"{question(fact, order, wording)}\n{fill(wording.lead[order], fact)}"


def target(fact: Fact, order: Order) -> str:
    """The entity that a question in this order asks for, after the space before it."""
    return f" {fact.object if order == 'forward' else fact.subject}"


def answered(fact: Fact, order: Order, wording: Wording) -> str:
    return f"{asking(fact, order, wording)}{target(fact, order)}."


def examples(shots: Sequence[Fact], stated: Order, asked: Order, wording: Wording) -> str:
    """Worked examples: each states a fact, asks it and answers."""
    return "".join(
        f"{statement(shot, stated, wording)}\n{answered(shot, asked, wording)}\n\n"
        for shot in shots
    )


def record(facts: Sequence[Fact], stated: Order, wording: Wording) -> str:
    """All facts stated one after another, before any is asked."""
    return "".join(f"{statement(fact, stated, wording)}\n" for fact in facts)


def in_context_documents(count: int, seed: int, avoid: Collection[str]) -> list[Document]:
    """Documents that state facts of people met nowhere else and answer the reversed question.

    Most state one fact, some two or `SHOTS` + 1. Half of these ask each fact right after it was
    stated, as few-shot prompts do, and half ask all of them after all were stated; half state the
    name first. No entity of `avoid` occurs. People are drawn anew for every document, so that no
    association between documents can be learnt.
    """
    return [_document(index, seed, avoid, WORDINGS["plain"]) for index in range(count)]


def _document(index: int, seed: int, avoid: Collection[str], wording: Wording) -> Document:
    seed = derive_seed(seed, "in_context", index)
    rounds, place = divmod(index, len(SIZES))
    persons = people(seed, SIZES[place], avoid)
    told = [fact for fact, _ in facts_about(persons, "both", f"in_context.{index}")]
    stated = ORDERS[rounds % 2]
    asked = OTHER_ORDER[stated]
    if rounds // 2 % 2:
        again = generator(seed, "asked").sample(told, len(told))
        answers = [answered(fact, asked, wording) for fact in again]
        text = record(told, stated, wording) + "\n".join(answers)
        last = again[-1]
    else:
        text = examples(told, stated, asked, wording).rstrip("\n")
        last = told[-1]
    return Document(
        f"in_context.{index}", last.id, asked, "in_context", text, _last_spans(text, last)
    )


def _last_spans(text: str, fact: Fact) -> Spans:
    """Where the two entities stand in the last question and answer."""
    places = {"subject": fact.subject, "object": fact.object}
    return {
        entity: [Span(start, start + len(name))]
        for entity, name in places.items()
        for start in [text.rindex(name)]
    }
