"""Sites: where in the network, and at which tokens, an intervention takes place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from interp_rc.facts.contrast_faults import span_fault
from interp_rc.models.adapters.parts import COMPONENTS, STREAM, Component, Place
from interp_rc.models.tokenizer import Offsets
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast, Span

Token = Literal["first", "last", "all"]
TOKENS: tuple[Token, ...] = get_args(Token)
Tokens = list[tuple[int, int]]  # positions in the clean and in the corrupted input
PROMPT = "prompt"  # the span that every prompt has: all of it
OF_HEADS: tuple[Component, ...] = ("pattern", "z")
OF_NEURONS: tuple[Component, ...] = ("mlp_post",)

NUMBER = "[0-9]{1,9}"  # no network has more of anything
LONGEST = 200  # characters of a site; a message repeats it
FORM = re.compile(
    r"(?P<component>[A-Za-z_]+?)(\.(?P<layer>NUMBER|\*))?"
    r"(\.h(?P<head>NUMBER|\*)|\.n(?P<neuron>NUMBER)|\.d(?P<direction>NUMBER))?(x(?P<window>NUMBER))?"
    r"(@(?P<where>\w+?|\*)(\.(?P<token>\w+))?)?".replace("NUMBER", NUMBER)
)
HELP = (
    "write COMPONENT[.LAYER][.hHEAD|.nNEURON|.dDIRECTION][xWINDOW]@SPAN.TOKEN or …@POSITION, e.g. "
    "mlp_out.2@source.last, resid_post.*@prompt.last, z.3.h0@B.first, mlp_out.*x5@A.last, "
    "attn_out.0@3, or mlp_out for every layer and position"
)


@dataclass(frozen=True, slots=True)
class Site:
    """A component of a layer at tokens of a span, or at one position (0-based, of the input).

    `token` says which of the span's tokens: its first, its last, or all. Spans of unequal length
    are aligned at their ends, so that last tokens meet. `head` is one head of `z` or `pattern`,
    `neuron` one of `mlp_post`, `direction` one row of a basis (see `FromPrompt`); null for all of
    them at once. A `window` of layers is changed
    together. The component may also be a module's name, which stands for its output; the layer is
    then the one that the module is part of, null if it is part of none (tools correct what was
    given). An `optional` position may be behind the end of some prompts, which it leaves out.

    Raises ConfigError for what no network has.
    """

    component: Component | str
    layer: int | None
    span: str | None = None
    token: Token = "last"
    position: int | None = None
    head: int | None = None
    neuron: int | None = None
    direction: int | None = None
    window: int = 1
    optional: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if (self.span is None) == (self.position is None):
            raise ConfigError(f"site {self.name} needs a span or a position, and not both")
        if self.layer is None and not self.is_module:
            raise ConfigError(f"site {self.name} needs a layer; name one, from 0")
        for what, number, of in (
            ("head", self.head, OF_HEADS),
            ("neuron", self.neuron, OF_NEURONS),
            ("direction", self.direction, STREAM),
        ):
            if number is not None and self.component not in of:
                raise ConfigError(
                    f"site {self.name}: {self.component} has no {what}s; {_listed(of)} "
                    f"{'has' if len(of) == 1 else 'have'}"
                )
            if number is not None and self.window != 1:
                raise ConfigError(
                    f"site {self.name}: a {what} is of one layer; leave the window out"
                )
        if self.window < 1:
            raise ConfigError(f"site {self.name}: a window has one layer at least")

    @property
    def is_module(self) -> bool:
        """Whether the component is a module's name."""
        return self.component not in COMPONENTS

    @property
    def place(self) -> Place:
        return Place(self.component, 0 if self.is_module else self.layer or 0)

    @property
    def unit(self) -> int | None:
        """The head or neuron."""
        return self.neuron if self.head is None else self.head

    def layers(self, n_layers: int) -> range:
        """The layers that are changed together: the window around `layer`, cut at both ends.

        As in the causal tracing of Meng et al. (2022, arXiv:2202.05262): of w layers, from
        l - ⌊w/2⌋ up to, not including, l + ⌈w/2⌉. A module is at the only layer of its `place`.
        """
        if self.is_module:
            return range(1)
        layer = self.place.layer
        return range(
            max(0, layer - self.window // 2), min(n_layers, layer + (self.window + 1) // 2)
        )

    @property
    def name(self) -> str:
        part = "" if self.head is None else f".h{self.head}"
        part += "" if self.neuron is None else f".n{self.neuron}"
        part += "" if self.direction is None else f".d{self.direction}"
        part += "" if self.window == 1 else f"x{self.window}"
        where = self.position if self.span is None else f"{self.span}.{self.token}"
        layer = "" if self.is_module else f".{self.layer}"
        return f"{self.component}{layer}{part}@{where}"


def parse_site(
    text: str, layers: int, *, heads: int | None = None, positions: int | None = None
) -> list[Site]:
    """The sites that a text names; a layer `*`, or none, means all of them, `.h*` every head.

    `@*`, or no `@`, means every one of the `positions` (see `inputs.positions`), each where a
    prompt is long enough. Raises ConfigError, saying what is known, for a text that names none.
    """
    found = FORM.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise ConfigError(f"{text!r:.{LONGEST}} is not a site; {HELP}")
    component, head, neuron = found["component"], found["head"], found["neuron"]
    if component not in COMPONENTS:
        raise ConfigError(
            f"site {text!r}: no component {component!r}; known: {_listed(COMPONENTS)}"
        )
    return [
        Site(
            component,
            layer,
            span=span,
            token=token,
            position=position,
            head=one,
            neuron=None if neuron is None else int(neuron),
            direction=None if found["direction"] is None else int(found["direction"]),
            window=int(found["window"] or 1),
            optional=found["where"] in (None, "*"),
        )
        for layer in _numbers(text, "layer", found["layer"] or "*", layers)
        for one in ([None] if head is None else _numbers(text, "head", head, heads))
        for span, token, position in _places(text, found["where"], found["token"], positions)
    ]


def means_every_position(text: str) -> bool:
    found = FORM.fullmatch(text)
    return found is not None and found["where"] in (None, "*")


def _numbers(text: str, what: str, asked: str, there: int | None) -> Sequence[int]:
    """One number, or all of them for `*`."""
    if asked == "*" and there is None:
        raise ConfigError(f"site {text!r}: say how many {what}s the model has, or name one")
    if asked == "*":
        return range(there or 0)
    if there is not None and int(asked) >= there:
        raise ConfigError(f"site {text!r}: the model has {what}s 0 to {there - 1}")
    return [int(asked)]


def _places(
    text: str, where: str | None, token: str | None, positions: int | None
) -> list[tuple[str | None, Token, int | None]]:
    """Span, token and position, of each place at the tokens that a text names."""
    is_span = where is not None and where != "*" and re.fullmatch(NUMBER, where) is None
    if token is not None and (not is_span or token not in TOKENS):
        raise ConfigError(f"site {text!r}: no token {token!r}; a span has {_listed(TOKENS)}")
    if is_span:
        which: Token = next((one for one in TOKENS if one == token), "last")
        return [(where, which, None)]
    if where is not None and where != "*":
        return [(None, "last", int(where))]
    if positions is None:
        raise ConfigError(
            f"site {text!r} means every position; say how many there are, or name a span"
        )
    return [(None, "last", position) for position in range(positions)]


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def tokens_of(contrast: Contrast, site: Site, clean: Offsets, corrupted: Offsets) -> Tokens:
    """Positions of the site's tokens in the clean and in the corrupted input, in pairs.

    The offsets are those of all tokens, of prompt and target. The target's last token, which the
    model predicts and nothing reads, is left out of `all`: whatever is done there changes nothing.
    Empty if the site is optional, and behind the end of these prompts. Raises DataError if the
    contrast has no such span, a prompt no such position, the position is not that of the same
    token in both because they have not equally many, or the one token asked for is never read.
    """
    if site.position is not None:
        return _at_position(contrast, site, clean, corrupted)
    one, other = (
        _inside(offsets, span, prompt, contrast, site)
        for offsets, span, prompt in zip(
            (clean, corrupted),
            _spans(contrast, site),
            (contrast.clean, contrast.corrupted),
            strict=True,
        )
    )
    if site.token == "first":
        found = [(one[0], other[0])]
    elif site.token == "last":
        found = [(one[-1], other[-1])]
    else:
        shared = min(len(one), len(other))
        found = list(zip(one[-shared:], other[-shared:], strict=True))
    unread = len(clean) - 1, len(corrupted) - 1
    read = [(a, b) for a, b in found if a < unread[0] and b < unread[1]]
    if not read:
        raise DataError(
            f"{contrast.named}: {site.span}.{site.token} is the last token of the target, which "
            "the model predicts and never reads; name another token"
        )
    return read


def _at_position(contrast: Contrast, site: Site, clean: Offsets, corrupted: Offsets) -> Tokens:
    assert site.position is not None
    tokens = same_length(
        contrast,
        prompt_tokens(clean, contrast.clean),
        prompt_tokens(corrupted, contrast.corrupted),
    )
    if site.position < tokens:
        return [(site.position, site.position)]
    if site.optional:
        return []
    raise DataError(
        f"{contrast.named} has no position {site.position} in its prompts, only {tokens} tokens; "
        "name another, or a span"
    )


def prompt_tokens(offsets: Offsets, prompt: str) -> int:
    """How many of the tokens of prompt and target are the prompt's: one that ends inside the
    target belongs to the target."""
    return next((i for i, (_, end) in enumerate(offsets) if end > len(prompt)), len(offsets))


def same_length(contrast: Contrast, clean: int, corrupted: int) -> int:
    """The number of tokens of both prompts; DataError if they differ: positions then do not
    belong together, and cutting the longer one would hide that."""
    if clean != corrupted:
        known = sorted({PROMPT, *contrast.spans})
        raise DataError(
            f"{contrast.named}: the clean prompt has {clean} tokens and the corrupted one "
            f"{corrupted}, so their positions do not match; name a span instead "
            f"(it has {_listed(tuple(known))}), e.g. resid_post@{known[0]}.last, or make the "
            "prompts equally long"
        )
    return clean


def _spans(contrast: Contrast, site: Site) -> list[Span]:
    if site.span == PROMPT:
        return [Span(0, len(contrast.clean)), Span(0, len(contrast.corrupted))]
    assert site.span is not None
    if site.span not in contrast.spans:
        known = ", ".join(sorted({PROMPT, *contrast.spans}))
        raise DataError(f"{contrast.named} has no span {site.span!r}; it has {known}")
    fault = span_fault(contrast, site.span)
    if fault is not None:
        raise DataError(f"{contrast.named}: {fault}; correct it")
    return contrast.spans[site.span]


def _inside(offsets: Offsets, span: Span, prompt: str, contrast: Contrast, site: Site) -> list[int]:
    if span.end <= len(prompt):  # no token of the target, even if it begins inside the prompt
        offsets = offsets[: prompt_tokens(offsets, prompt)]
    return covered(offsets, span, f"{contrast.named}: span {site.span!r}")


def covered(offsets: Offsets, span: Span, what: str) -> list[int]:
    """Tokens that share a character with the span; DataError, naming `what`, if none does."""
    found = [i for i, (start, end) in enumerate(offsets) if start < span.end and end > span.start]
    if not found:
        raise DataError(f"{what} covers no token of its text; correct its span")
    return found
