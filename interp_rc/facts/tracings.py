"""Prompts whose subject is to be noised, as causal tracing takes them, and files of them."""

from dataclasses import dataclass, field
from pathlib import Path

from interp_rc.facts.items import read_lines
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Order, Span, line_id

OPTIONAL = ("id", "fact", "order", "start", "line")


@dataclass(frozen=True, slots=True)
class Tracing:
    """A prompt that names a subject, and the target that follows it (Meng et al. 2022,
    arXiv:2202.05262, section 2.1).

    `start` is the character at which the subject begins, found if it stands there once only.
    Raises DataError if it does not.
    """

    id: str
    fact: str
    prompt: str
    subject: str
    target: str
    start: int | None = None
    order: Order | None = None
    line: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        places = [i for i in range(len(self.prompt)) if self.prompt.startswith(self.subject, i)]
        if not places:
            fault = f"is not in the prompt {self.prompt!r}; write it as it stands there"
        elif self.start is None and len(places) > 1:
            fault = (
                f"stands {len(places)} times in the prompt, at characters "
                f'{_listed(places)}; add the "start" of the one that is meant'
            )
        elif self.start is not None and self.start not in places:
            fault = (
                f"does not begin at character {self.start} of the prompt, but at "
                f'{_listed(places)}; correct "start"'
            )
        else:
            object.__setattr__(self, "start", places[0] if self.start is None else self.start)
            return
        raise DataError(f"{self.named}: the subject {self.subject!r} {fault}")

    @property
    def named(self) -> str:
        """For messages: its id, and the line of the file it was read from."""
        where = f" (line {self.line})" if self.line and self.id != line_id(self.line) else ""
        return f"tracing {self.id!r}{where}"

    @property
    def contrast(self) -> Contrast:
        """The same prompt twice, to be corrupted at the span `A` (and `source`): the subject.

        `B` is the target without the spaces around it.
        """
        assert self.start is not None
        subject = Span(self.start, self.start + len(self.subject))
        begins = len(self.prompt) + len(self.target) - len(self.target.lstrip())
        answer = Span(begins, begins + len(self.target.strip()))
        return Contrast(
            id=self.id,
            fact=self.fact,
            order=self.order,
            clean=self.prompt,
            corrupted=self.prompt,
            target=self.target,
            spans={"source": [subject] * 2, "A": [subject] * 2, "B": [answer] * 2},
            line=self.line,
        )


def _listed(places: list[int]) -> str:
    return ", ".join(map(str, places[:10])) + (" …" if len(places) > 10 else "")


def read_tracings(path: Path | str) -> list[Tracing]:
    """The prompts of a file of JSON lines, each `{"prompt": …, "subject": …, "target": …}`.

    A `start` settles which one is meant where the subject stands in the prompt more than once; an
    `id` (default: `line N`), the `fact` (default: the id) and the `order` (default: null) may be
    added. Raises DataError, naming file and line, for faulty lines.
    """
    return read_lines(Path(path), Tracing, "tracings", OPTIONAL)
