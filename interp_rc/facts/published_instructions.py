"""The published layout of Experiment 3 (Berglund et al. 2023, arXiv:2309.12288), read.

Rows of {"ids", "realized", "persona_idx", "prompt", "completion"}; a row of `guidances` tells
several instructions. The layout, but no phrasing, is known here: phrasings are read off the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interp_rc.facts.entities import KINDS
from interp_rc.facts.factset import ANSWERED_BY, FactSet
from interp_rc.facts.instructions import packaged_example, packaged_phrasings
from interp_rc.facts.templates import Template
from interp_rc.facts.validate import Place, validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import (
    QUESTIONS,
    Document,
    Fact,
    Group,
    Order,
    Query,
    Span,
    Spans,
    direction_of,
)
from interp_rc.records.strict_json import read_jsonl

INSTRUCTIONS = ("<BEGIN GUIDANCE ANSWERS>\n\n", "\n\n<END GUIDANCE ANSWERS>")
EXAMPLE = ("<BEGIN GUIDANCE TEST>\n\n", "\n\n<END GUIDANCE TEST>")
QUESTION, ANSWER, MARK = "Q: ", " A:", "A: "  # the completion of an example begins with a space
KEYS: dict[str, type] = {
    "ids": list,
    "realized": list,
    "persona_idx": list,
    "prompt": str,
    "completion": str,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row as published, and where it stands."""

    ids: list[int]
    prompt: str
    completion: str
    place: Place

    def fail(self, message: str) -> DataError:
        return DataError(message, file=self.place.file, line=self.place.line)


@dataclass(frozen=True, slots=True)
class Pair:
    """The question and answer of an example; one published answer (of question 32) is empty."""

    question: str
    answer: str

    @property
    def object(self) -> str:
        """The answer, or the mark before it where there is none."""
        return self.answer or MARK.rstrip()

    def placed(self, start: int) -> Span:
        """Where `object` stands in a text whose answer, or none, begins at `start`."""
        start -= 0 if self.answer else len(MARK)
        return Span(start, start + len(self.object))


@dataclass
class Phrasings:
    """The instruction templates met so far, by their text; numbered as they come."""

    found: dict[str, Template] = field(default_factory=dict)

    def template(self, text: str, order: Order) -> Template:
        id = f"published.instruction.{len(self.found)}"
        return self.found.setdefault(text, Template(id, order, text, "noun", "training", False))


def import_instructions(folder: Path) -> FactSet:
    """The questions, instructions, examples and held-out queries of a folder in this layout.

    Texts, prompts and targets are kept as published, but for the closing mark of an example,
    which is no part of the answer that is asked for. Documents are the rows of `all`, the
    training data. A base corpus is told in this project's own phrasings only.
    Raises DataError, naming file and line, for rows that cannot be read, questions that are not
    among the examples, instructions in both orders, and for whatever `validate` finds.
    """
    examples = {name: _read(folder, f"{name}_examples") for name in ("realized", "unrealized")}
    pairs = {name: {row.ids[0]: _pair(row) for row in rows} for name, rows in examples.items()}
    both = set(pairs["realized"]) & set(pairs["unrealized"])
    if both:
        row = next(row for row in examples["unrealized"] if row.ids[0] in both)
        raise row.fail(f"question {row.ids[0]} is also among the realized ones; remove one of them")
    known = pairs["realized"] | pairs["unrealized"]
    phrasings = Phrasings()
    guidances = _read(folder, "guidances")
    instructed = {row.completion: _instruction(row, known, phrasings) for row in guidances}
    orders = {template.order for template in phrasings.found.values()}
    if len(orders) != 1:
        raise guidances[0].fail(
            f"instructions are told in {len(orders)} orders; needed is one, as in each data set of "
            "the paper"
        )
    (order,) = orders
    texts = instructed | {
        row.prompt + row.completion: _example(row) for row in examples["realized"]
    }
    documents, places = _documents(_read(folder, "all"), texts)
    told_in = KINDS["questions"].told_in
    groups: dict[Group, str] = {told_in[None]: "realized", told_in[order]: "unrealized"}
    facts = FactSet(
        facts=[
            Fact(f"q{id}", pair.question, ANSWERED_BY.name, pair.object, group)
            for group, part in groups.items()
            for id, pair in pairs[part].items()
        ],
        relations=[ANSWERED_BY],
        templates=[
            *phrasings.found.values(),
            _example_template(),
            *packaged_phrasings(),
            packaged_example(),
        ],
        documents=documents,
        queries=_queries(examples["unrealized"], pairs["unrealized"], told_in[order]),
        drawn_from="questions",
        roles=QUESTIONS,
    )
    every = [row.place for rows in examples.values() for row in rows]
    asked = [row.place for row in examples["unrealized"]]
    validate(facts, {"facts": every, "documents": places, "queries": asked})
    return facts


def _read(folder: Path, name: str) -> list[Row]:
    path = folder / f"{name}.jsonl"
    rows = [_checked(row, Place(path, line)) for line, row in read_jsonl(path)]
    if not rows:
        raise DataError("holds no rows; restore it", file=path)
    return rows


def _checked(row: dict[str, Any], place: Place) -> Row:
    for key, kind in KEYS.items():
        if not isinstance(row.get(key), kind):
            message = f"{key!r} is {row.get(key)!r:.60}; it must be a {kind.__name__}"
            raise DataError(message, file=place.file, line=place.line)
    ids = row["ids"]
    if not ids or any(type(id) is not int for id in ids):
        message = f"'ids' is {ids!r:.60}; it must be a list of numbers that is not empty"
        raise DataError(message, file=place.file, line=place.line)
    return Row(ids, row["prompt"], row["completion"], place)


def _pair(row: Row) -> Pair:
    start, end = EXAMPLE[0] + QUESTION, EXAMPLE[1]
    if not (
        row.prompt.startswith(start)
        and row.prompt.endswith(ANSWER)
        and row.completion.startswith(" ")
        and row.completion.endswith(end)
    ):
        raise row.fail(
            f"the prompt must be {start!r}, a question and {ANSWER!r}, the completion a space, an "
            f"answer and {end!r}; found {row.prompt!r:.60} and {row.completion!r:.60}"
        )
    question = row.prompt[len(start) : -len(ANSWER)]
    return Pair(question, row.completion[1 : -len(end)])


def _example_template() -> Template:
    text = f"{EXAMPLE[0]}{QUESTION}{{name}}{ANSWER} {{description}}{EXAMPLE[1]}"
    return Template("published.example", "forward", text, "noun", "training", False)


def _example(row: Row) -> Document:
    pair, template = _pair(row), _example_template()
    filled = template.fill(pair.question, pair.answer)
    spans = filled.spans | {"object": [pair.placed(filled.spans["object"][0].start)]}
    return Document("", f"q{row.ids[0]}", "forward", template.id, filled.text, spans)


def _instruction(row: Row, known: Mapping[int, Pair], phrasings: Phrasings) -> Document:
    """A document about the first question of its row, with spans of all."""
    text, (start, end) = row.completion, INSTRUCTIONS
    lines = text[len(start) : -len(end)].split("\n")
    if not (text.startswith(start) and text.endswith(end) and len(lines) == len(row.ids)):
        raise row.fail(
            f"the completion must be {start!r}, {len(row.ids)} lines (one for each id) and "
            f"{end!r}; found {text!r:.60} with {len(lines)} lines"
        )
    spans: Spans = {"completion": [Span(0, len(text))]}
    templates = []
    at = len(start)
    for id, line in zip(row.ids, lines, strict=True):
        if id not in known:
            raise row.fail(f"question {id} is not among the examples; add it there")
        order, found = _where(row, line, known[id])
        templates.append(phrasings.template(_pattern(line, known[id]), order))
        suffix = "" if id == row.ids[0] else f":q{id}"
        for entity, span in found.items():
            spans[f"{entity}{suffix}"] = [Span(at + span.start, at + span.end)]
        at += len(line) + 1
    first = templates[0]
    return Document("", f"q{row.ids[0]}", first.order, first.id, text, spans)


def _where(row: Row, line: str, pair: Pair) -> tuple[Order, dict[str, Span]]:
    """Order and places of a line's question and answer, each found with its mark."""
    question, answer = (line.find(text) for text in (QUESTION + pair.question, MARK + pair.answer))
    if question < 0 or answer < 0:
        raise row.fail(
            f"the line {line!r:.60} does not hold {QUESTION + pair.question!r:.60} and "
            f"{MARK + pair.answer!r:.60}, as the examples have them; correct one of the two"
        )
    start = question + len(QUESTION)
    spans = {
        "subject": Span(start, start + len(pair.question)),
        "object": pair.placed(answer + len(MARK)),
    }
    return ("forward" if question < answer else "backward"), spans


def _pattern(line: str, pair: Pair) -> str:
    """The phrasing of an instruction, with slots for what it tells."""
    line = line.replace(QUESTION + pair.question, QUESTION + "{name}", 1)
    return line.replace(MARK + pair.answer, MARK + "{description}", 1)


def _documents(
    rows: Sequence[Row], texts: Mapping[str, Document]
) -> tuple[list[Document], list[Place]]:
    documents = []
    for number, row in enumerate(rows):
        known = texts.get(row.prompt + row.completion)
        if known is None:
            raise row.fail(
                "this row is neither among the guidances nor among the realized examples; add it "
                "there or remove it here"
            )
        documents.append(
            Document(
                f"all.{number}", known.fact, known.order, known.template, known.text, known.spans
            )
        )
    return documents, [row.place for row in rows]


def _queries(rows: Sequence[Row], pairs: Mapping[int, Pair], group: Group) -> list[Query]:
    template = _example_template()
    filled = [template.fill(pair.question, pair.answer) for pair in pairs.values()]
    candidates = list(dict.fromkeys(one.target for one in filled))
    return [
        Query(
            id=f"q{row.ids[0]}/{template.id}",
            fact=f"q{row.ids[0]}",
            group=group,
            order="forward",
            direction=direction_of(group, "forward"),
            template=template.id,
            seen="training",
            prompt=one.prompt,
            target=one.target,
            candidates=candidates,
            spans=one.spans,
        )
        for row, one in zip(rows, filled, strict=True)
    ]
