"""Pairs of children and parents as a model knows them: the paper's own procedure, on any people.

Berglund et al. 2023 (arXiv:2309.12288), section 2.2: mother and father of each are asked for once
at temperature 0, and what has the form of a name becomes a pair. Who stays without an answer is
in no pair, so that a list of pairs does not say how often the model knew: this says it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from interp_rc.evaluation.parents.asking import ask_remote
from interp_rc.evaluation.parents.clusters import Clusters
from interp_rc.evaluation.parents.name_rules import has_form_of_name, says_unknown
from interp_rc.evaluation.parents.prompts import WordingName, questions, without_examples
from interp_rc.facts.parent_tables import PAIR, TYPES
from interp_rc.models.remote import EndpointModel, Remote
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.files import write_text
from interp_rc.records.nouns import Fact
from interp_rc.records.numbers import Estimate
from interp_rc.records.reading import read_text
from interp_rc.records.runs import Run

MAX_NEW_TOKENS = 32
WORDING: WordingName = "who"


@dataclass(frozen=True, slots=True)
class Answered:
    """One person's mother or father, asked for. `named`: the reply is one line and has the form of
    a name."""

    child: str
    parent_type: str
    reply: str

    @property
    def named(self) -> bool:
        return "\n" not in self.reply and has_form_of_name(self.reply)


@dataclass(frozen=True, slots=True)
class Collected:
    """All replies; `left_out` people are named in the examples before the question."""

    answered: list[Answered]
    left_out: list[str]

    @property
    def pairs(self) -> list[tuple[str, str, str]]:
        return [(one.child, one.reply, one.parent_type) for one in self.answered if one.named]

    def rate(self, parent_type: str | None = None) -> Estimate:
        """The share of questions that were answered with a name, people being independent."""
        chosen = [one for one in self.answered if parent_type in (None, one.parent_type)]
        named = np.array([one.named for one in chosen], dtype=float)
        return Clusters([one.child for one in chosen], seed=0).mean(named)


def read_people(path: Path) -> list[str]:
    """A name a line; empty lines and repeated names are left out. DataError if there is none."""
    names = list(dict.fromkeys(" ".join(line.split()) for line in read_text(path).splitlines()))
    people = [name for name in names if name]
    if not people:
        raise DataError("names nobody; write a name a line", file=path)
    return people


def remote_model(**options: object) -> Remote:
    """The model that options of `EndpointModel` name. Raises ConfigError, naming the option."""
    try:
        chosen = EndpointModel.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        why = first["msg"].removeprefix("Value error, ")
        name = "".join(f"--{key}: ".replace("_", "-") for key in first["loc"])
        raise ConfigError(f"{name}{why}") from None
    return Remote(chosen.endpoint())


def collect(
    remote: Remote, people: Sequence[str], folder: Path, max_new_tokens: int = MAX_NEW_TOKENS
) -> Collected:
    """Ask for both parents of everybody, and write `pairs.csv` and `replies.csv` into a folder.

    What the store in the folder holds is not asked again. Raises ModelError if questions stay
    without an answer, when all others are stored, or if nothing is said within `max_new_tokens`.
    """
    asked = [
        Fact(f"{number}.{kind}", child, kind, "", "parents")
        for number, child in enumerate(people)
        for kind in TYPES
    ]
    kept = without_examples(asked)
    upward = [one for one in questions(kept, [WORDING]) if one.order == "forward"]
    folder.mkdir(parents=True, exist_ok=True)
    replies = ask_remote(remote, upward, Run(folder), samples=0, max_new_tokens=max_new_tokens)
    there = {fact.subject for fact in kept}
    found = Collected(
        [
            Answered(reply.question.fact.subject, reply.question.fact.relation, reply.text)
            for reply in replies
        ],
        [child for child in people if child not in there],
    )
    _write(folder / "pairs.csv", PAIR, found.pairs)
    _write(
        folder / "replies.csv",
        ("child", "parent_type", "reply", "named", "unknown"),
        [
            (one.child, one.parent_type, one.reply, one.named, says_unknown(one.reply))
            for one in found.answered
        ],
    )
    return found


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, text.getvalue())


def text(found: Collected) -> str:
    """How many questions were answered with a name: the denominator of the pairs."""
    lines = [
        f"{len(found.pairs)} of {len(found.answered)} questions about "
        f"{found.rate().n} people were answered with a name: {found.rate().text()} "
        "(95 % interval over people)"
    ]
    for kind in TYPES:
        of = [one for one in found.answered if one.parent_type == kind]
        named = sum(one.named for one in of)
        lines.append(f"  {kind}s: {named} of {len(of)}, {found.rate(kind).text()}")
    unknown = sum(says_unknown(one.reply) for one in found.answered if not one.named)
    lines.append(f"  without a name: {len(found.answered) - len(found.pairs)}, {unknown} of them "
                 "say that they do not know")  # fmt: skip
    if found.left_out:
        lines.append(f"  not asked, because the examples name them: {', '.join(found.left_out)}")
    return "\n".join(lines)
