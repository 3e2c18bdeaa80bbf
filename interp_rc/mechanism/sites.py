"""Sites: where in the network, and at which tokens, an intervention takes place."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from interp_rc.models.adapters.parts import COMPONENTS, Component, Place
from interp_rc.models.tokenizer import Offsets
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast, Span

Token = Literal["first", "last", "all"]
TOKENS: tuple[Token, ...] = get_args(Token)
Tokens = list[tuple[int, int]]  # positions in the clean and in the corrupted input
PROMPT = "prompt"  # the span that every prompt has: all of it

FORM = re.compile(r"(?P<component>\w+)(\.(?P<layer>\d+|\*))?@(?P<span>\w+?)(\.(?P<token>\w+))?")
HELP = (
    "write COMPONENT.LAYER@SPAN.TOKEN or COMPONENT.LAYER@POSITION, e.g. mlp_out.2@source.last, "
    "resid_post.*@prompt.last or attn_out.0@3"
)


@dataclass(frozen=True, slots=True)
class Site:
    """A component of a layer at tokens of a span, or at one position (0-based, of the input).

    `token` says which of the span's tokens: its first, its last, or all. Spans of unequal length
    are aligned at their ends, so that last tokens meet.
    """

    component: Component
    layer: int
    span: str | None = None
    token: Token = "last"
    position: int | None = None

    def __post_init__(self) -> None:
        if (self.span is None) == (self.position is None):
            raise ConfigError(f"site {self.name} needs a span or a position, and not both")

    @property
    def place(self) -> Place:
        return Place(self.component, self.layer)

    @property
    def name(self) -> str:
        where = self.position if self.span is None else f"{self.span}.{self.token}"
        return f"{self.component}.{self.layer}@{where}"


def parse_site(text: str, layers: int) -> list[Site]:
    """The sites that a text names; a layer `*`, or none, means all of them.

    Raises ConfigError, saying what is known, for a text that names none.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is not a site; {HELP}")
    component, token = found["component"], found["token"]
    if component not in COMPONENTS:
        raise ConfigError(
            f"site {text!r}: no component {component!r}; known: {_listed(COMPONENTS)}"
        )
    position = int(found["span"]) if found["span"].isdigit() else None
    if token is not None and (position is not None or token not in TOKENS):
        raise ConfigError(f"site {text!r}: no token {token!r}; a span has {_listed(TOKENS)}")
    if found["layer"] in (None, "*"):
        chosen = list(range(layers))
    elif int(found["layer"]) < layers:
        chosen = [int(found["layer"])]
    else:
        raise ConfigError(f"site {text!r}: the model has layers 0 to {layers - 1}")
    span = None if position is not None else found["span"]
    return [Site(component, layer, span, token or "last", position) for layer in chosen]


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def tokens_of(contrast: Contrast, site: Site, clean: Offsets, corrupted: Offsets) -> Tokens:
    """Positions of the site's tokens in the clean and in the corrupted input, in pairs.

    The offsets are those of the prompts' tokens. Raises DataError if the contrast has no such
    span, or a prompt no such position.
    """
    if site.position is not None:
        shortest = min(len(clean), len(corrupted))
        if site.position >= shortest:
            raise DataError(
                f"contrast {contrast.id!r} has no position {site.position} in both prompts, only "
                f"{shortest} tokens; name a span instead"
            )
        return [(site.position, site.position)]
    spans = _spans(contrast, site)
    one, other = (
        _inside(offsets, span, contrast, site)
        for offsets, span in zip((clean, corrupted), spans, strict=True)
    )
    if site.token == "first":
        return [(one[0], other[0])]
    if site.token == "last":
        return [(one[-1], other[-1])]
    shared = min(len(one), len(other))
    return list(zip(one[-shared:], other[-shared:], strict=True))


def _spans(contrast: Contrast, site: Site) -> list[Span]:
    if site.span == PROMPT:
        return [Span(0, len(contrast.clean)), Span(0, len(contrast.corrupted))]
    assert site.span is not None
    if site.span not in contrast.spans:
        known = ", ".join(sorted({PROMPT, *contrast.spans}))
        raise DataError(f"contrast {contrast.id!r} has no span {site.span!r}; it has {known}")
    return contrast.spans[site.span]


def _inside(offsets: Offsets, span: Span, contrast: Contrast, site: Site) -> list[int]:
    return covered(offsets, span, f"contrast {contrast.id!r}: span {site.span!r}")


def covered(offsets: Offsets, span: Span, what: str) -> list[int]:
    """Tokens that share a character with the span; DataError, naming `what`, if none does."""
    found = [i for i, (start, end) in enumerate(offsets) if start < span.end and end > span.start]
    if not found:
        raise DataError(f"{what} covers no token of the prompt; correct its span")
    return found
