"""Sentence templates with a place for the name and one for the description."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from interp_rc.facts.people import Form, Person
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Order, Span, Spans
from interp_rc.records.packaged import packaged
from interp_rc.records.strict_yaml import read_yaml

Role = Literal["training", "held_out", "base"]
Wording = Literal["statement", "question_answer"]
FILES: dict[Wording, tuple[str, str]] = {  # and how their ids begin
    "statement": ("templates.yaml", ""),
    "question_answer": ("questions.yaml", "question."),
}
GROUPS: dict[str, Order] = {"name_first": "forward", "description_first": "backward"}
SLOTS = {"name": "subject", "description": "object"}
IN_ORDER: dict[Order, tuple[str, str]] = {
    "forward": ("name", "description"),
    "backward": ("description", "name"),
}


class Filled(NamedTuple):
    """A template about one person: `text` = prompt + target + tail."""

    text: str
    prompt: str
    target: str
    spans: Spans


@dataclass(frozen=True, slots=True)
class Template:
    """`text` holds ``{name}`` and ``{description}`` once each, the first in `order` first.

    `role` says what the finetuning data uses it for (`base`: nothing), `in_base` whether the
    base corpus tells other people in it.
    """

    id: str
    order: Order
    text: str
    form: Form
    role: Role = "base"
    in_base: bool = True

    def __post_init__(self) -> None:
        first, second = IN_ORDER[self.order]
        places = [self.text.find("{%s}" % slot) for slot in (first, second)]
        if not 0 <= places[0] < places[1] or any(self.text.count("{%s}" % s) != 1 for s in SLOTS):
            raise DataError(
                f"template {self.id} must hold {{{first}}} and then {{{second}}}, once each; "
                f"found {self.text!r}"
            )

    @property
    def prompt(self) -> str:
        """The text before the second entity, without the space that the target begins with."""
        _, second = IN_ORDER[self.order]
        return self.text[: self.text.index("{%s}" % second)].rstrip(" ")

    def fill(self, name: str, description: str) -> Filled:
        first, second = IN_ORDER[self.order]
        value = {"name": name, "description": description}
        before, rest = self.text.split("{%s}" % first)
        between, after = rest.split("{%s}" % second)
        first_span = Span(len(before), len(before) + len(value[first]))
        start = first_span.end + len(between)
        second_span = Span(start, start + len(value[second]))
        text = before + value[first] + between + value[second] + after
        prompt_end = len(text[:start].rstrip(" "))
        spans = {SLOTS[first]: [first_span], SLOTS[second]: [second_span]}
        return Filled(text, text[:prompt_end], text[prompt_end : second_span.end], spans)

    def about(self, person: Person) -> Filled:
        return self.fill(person.name, person.description(self.form))


def packaged_templates(wording: Wording = "statement") -> list[Template]:
    """This project's own templates, name first and then description first.

    Some statements hold a question too ("Q: Who is …"); no template is in both files.
    """
    file, prefix = FILES[wording]
    content = _read(file)
    return [
        Template(f"{prefix}{group}.{index}", order, row["text"], row["form"])
        for group, order in GROUPS.items()
        for index, row in enumerate(content[group])
    ]


def composed_templates() -> list[Template]:
    """Further statements: every opening of our list with every sentence of an order."""
    content = _read("compositions.yaml")
    return [
        Template(
            f"composed.{group}.{first}.{second}", order, f"{opening} {row['text']}", row["form"]
        )
        for group, order in GROUPS.items()
        for first, opening in enumerate(content["openings"])
        for second, row in enumerate(content[group])
    ]


def _read(file: str) -> dict[str, Any]:
    content: dict[str, Any] = read_yaml(packaged("data") / "people" / file)
    return content
