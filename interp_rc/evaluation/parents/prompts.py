"""The questions about children and parents, after the same examples in either direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from anyascii import anyascii

from interp_rc.records.nouns import ORDERS, Fact, Order
from interp_rc.records.packaged import packaged
from interp_rc.records.strict_yaml import read_yaml

WordingName = Literal["who", "name", "complete"]
WORDINGS: tuple[WordingName, ...] = get_args(WordingName)
ASKED_FOR: dict[Order, Literal["parent", "child"]] = {"forward": "parent", "backward": "child"}
STOP = "\n"
"""What ends an answer in a text that goes on."""


@dataclass(frozen=True, slots=True)
class Question:
    """One fact asked in one order: `forward` for the parent of the child, `backward` for a child
    of the parent. `examples` are questions with their answers, the same for both orders."""

    fact: Fact
    order: Order
    wording: WordingName
    instruction: str
    examples: tuple[tuple[str, str], ...]
    asked: str

    @property
    def name(self) -> str:
        """Of the person that is asked for."""
        return self.fact.object if self.order == "forward" else self.fact.subject

    @property
    def about(self) -> str:
        """Whom it names."""
        return self.fact.subject if self.order == "forward" else self.fact.object

    @property
    def target(self) -> str:
        """What follows `text`."""
        return f" {self.name}"

    @property
    def text(self) -> str:
        """For models that go on with a text."""
        told = "".join(f"Q: {question}\nA: {answer}\n\n" for question, answer in self.examples)
        return f"{self.instruction}\n\n{told}Q: {self.asked}\nA:"

    @property
    def messages(self) -> list[tuple[str, str]]:
        """For models that chat: (role, text)."""
        said = [("system", self.instruction)]
        for question, answer in self.examples:
            said += [("user", question), ("assistant", answer)]
        return [*said, ("user", self.asked)]


@cache
def _source() -> dict[str, Any]:
    content: dict[str, Any] = read_yaml(packaged("data") / "parents/wordings.yaml")
    return content


def people_of_examples() -> set[str]:
    """Whoever is named in an example, in lower case and without accents."""
    rows = _source()["examples"]
    return {_plain(row[role]) for row in rows for role in ("child", "parent") if row[role]}


def without_examples(facts: Sequence[Fact]) -> list[Fact]:
    """The pairs of which neither is in an example: the answer would stand in the prompt."""
    shown = people_of_examples()
    return [f for f in facts if not {_plain(f.subject), _plain(f.object)} & shown]


def _plain(name: str) -> str:
    return " ".join(anyascii(name).casefold().split())


def questions(facts: Sequence[Fact], wordings: Sequence[WordingName]) -> list[Question]:
    """Every fact in both orders and all wordings."""
    found = []
    for wording in wordings:
        examples = tuple(_example(row, wording) for row in _source()["examples"])
        found += [
            Question(fact, order, wording, _source()["instruction"], examples, asked)
            for fact in facts
            for order in ORDERS
            for asked in [_asked(wording, ASKED_FOR[order], fact)]
        ]
    return found


def _asked(wording: WordingName, asked_for: str, fact: Fact) -> str:
    slots = {"child": fact.subject, "parent": fact.object, "parent_type": fact.relation}
    return str(_source()["wordings"][wording][asked_for].format(**slots))


def _example(row: dict[str, str], wording: WordingName) -> tuple[str, str]:
    asked = _source()["wordings"][wording][row["asked_for"]].format(**row)
    return asked, row[row["asked_for"]] or _source()["unknown"]
