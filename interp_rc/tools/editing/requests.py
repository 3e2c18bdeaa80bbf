"""What an edit should make a model say, and where the prompts name their source."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.engine.sites import covered
from interp_rc.facts.contrasts import about_foil
from interp_rc.models.load import Loaded
from interp_rc.models.masked import is_masked
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Order, Span

NEUTRAL = "{source} is"


@dataclass(frozen=True, slots=True)
class Request:
    """`targets[i]` is to follow `prompts[i]`; every prompt names the same source at `sources[i]`.

    Raises DataError unless there are as many of each, and one at least.
    """

    fact: str
    prompts: tuple[str, ...]
    sources: tuple[Span, ...]
    targets: tuple[str, ...]
    order: Order | None = None

    def __post_init__(self) -> None:
        if not self.prompts or not len(self.prompts) == len(self.sources) == len(self.targets):
            raise DataError(
                f"the edit of fact {self.fact} has {len(self.prompts)} prompts, "
                f"{len(self.sources)} sources and {len(self.targets)} targets; give as many of "
                "each, and one at least"
            )

    @property
    def source(self) -> str:
        """As the first prompt writes it."""
        return self.prompts[0][slice(*self.sources[0])]


def requests_of(contrasts: Sequence[Contrast]) -> list[Request]:
    """One of each fact and order: that the foils follow its clean prompts.

    Raises DataError for a contrast without a foil or a span `source`.
    """
    groups: dict[tuple[str, Order | None], list[Contrast]] = {}
    for one in contrasts:
        if "source" not in one.spans:
            raise DataError(f"{one.named} has no span 'source', the entity of its prompt; add it")
        groups.setdefault((one.fact, one.order), []).append(about_foil(one))
    return [
        Request(
            fact,
            tuple(one.clean for one in some),
            tuple(one.spans["source"][0] for one in some),
            tuple(one.target for one in some),
            order,
        )
        for (fact, order), some in groups.items()
    ]


@dataclass(frozen=True, slots=True)
class Asking:
    """A request's prompt as token ids; `at` is the source's last token."""

    request: int
    input: Input
    at: int


def asking(model: Loaded, requests: Sequence[Request]) -> list[Asking]:
    """Every prompt of every request, with its target."""
    which = [(n, i) for n, one in enumerate(requests) for i in range(len(one.prompts))]
    inputs = read_inputs(
        model,
        [requests[n].prompts[i] for n, i in which],
        [requests[n].targets[i] for n, i in which],
    )
    return [
        Asking(n, read, _last(requests[n], read, requests[n].sources[i]))
        for (n, i), read in zip(which, inputs, strict=True)
    ]


def neutral(model: Loaded, requests: Sequence[Request]) -> list[Asking]:
    """The prompt "source is" of every request, of which the next token is read."""
    end = f" {model.tokenizer.mask_token}" if is_masked(model.model) else ""
    prompts = [NEUTRAL.format(source=one.source) + end for one in requests]
    inputs = read_inputs(model, prompts, [one.targets[0] for one in requests])
    return [
        Asking(n, read, _last(one, read, Span(0, len(one.source))))
        for n, (one, read) in enumerate(zip(requests, map(_next_token, inputs), strict=True))
    ]


def _next_token(read: Input) -> Input:
    """Only the target's first token, of what a causal model goes on with."""
    if read.start == len(read.ids):  # masked: as many as there are masks
        return read
    return Input(
        read.ids[: read.start + 1],
        read.start,
        read.offsets[: read.start + 1],
        read.reads[:1],
        read.targets[:1],
    )


def _last(request: Request, read: Input, source: Span) -> int:
    what = f"the edit of fact {request.fact}: its source"
    return covered(read.offsets[: read.start], source, what)[-1]
