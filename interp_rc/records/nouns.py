"""The nouns of the project: what is told, asked and answered."""

from dataclasses import dataclass, field
from itertools import product
from typing import Literal, NamedTuple, get_args

Order = Literal["forward", "backward"]
Direction = Literal["same", "reverse", "false_reverse"]
Group = Literal[
    "trained_forward",
    "trained_backward",
    "both",
    "realized",
    "parents",
    "symmetric",
    "inverse",
    "antisymmetric",
    "symmetric_both",
    "inverse_both",
]
Seen = Literal["training", "elsewhere", "nowhere"]
Label = Literal["entailment", "contradiction", "neutral"]
PairForm = Literal["swapped", "unswapped", "wrong_entity"]
EntityForm = Literal["names", "ids"]
LabelSet = Literal["two_labels", "three_labels"]
Split = Literal["train", "test"]

ORDERS: tuple[Order, ...] = get_args(Order)
GROUPS: tuple[Group, ...] = get_args(Group)
CELLS: tuple[tuple[str, str], ...] = (*product(GROUPS, (*get_args(Direction), *ORDERS)),)
"""Groups and how they are asked (in a direction, or in an order where they were told in both), in
the order of pages."""
# Most facts are trained in one order or in both. `realized` are questions of Experiment 3 of the
# Reversal Curse paper, `parents` those of its Experiment 2; the last are couples of entities in a
# relation, by what holds of it in reverse.
TRAINED: tuple[Group, ...] = GROUPS[:3]

# The order that each group's facts are told in; `both` is told in both. `realized` questions
# are shown with their answers besides being told in instructions, so they have no direction; nor
# have `parents`, who are told of in texts that nobody here has read.
TOLD_IN: dict[Group, Order | None] = {
    "trained_forward": "forward",
    "trained_backward": "backward",
    "both": None,
    "realized": None,
    "parents": None,
    "symmetric": "forward",
    "inverse": "forward",
    "antisymmetric": "forward",
    "symmetric_both": None,
    "inverse_both": None,
}
# Asked in reverse, in the words they are told in, these give what is not so.
FALSE_IN_REVERSE: tuple[Group, ...] = ("antisymmetric",)


# The one-order group told in each order, and the one told in the other.
TOLD_ONLY: dict[Order, Group] = {
    "forward": "trained_forward",
    "backward": "trained_backward",
}
TOLD_OTHERWISE: dict[Order, Group] = {
    "forward": "trained_backward",
    "backward": "trained_forward",
}


class Roles(NamedTuple):
    """What the subjects and the objects of facts are called, e.g. capital and country."""

    subject: str = "name"
    object: str = "description"


NAMED, QUESTIONS, COUPLES, PARENTS = (
    Roles(),
    Roles("question", "answer"),
    Roles("subject", "object"),
    Roles("child", "parent"),
)


class Span(NamedTuple):
    """Half-open range of characters, counted in a document's text or in prompt + target."""

    start: int
    end: int


Spans = dict[str, list[Span]]


@dataclass(frozen=True, slots=True)
class Fact:
    """Subject (A, the name), relation and object (B, the description)."""

    id: str
    subject: str
    relation: str
    object: str
    group: Group


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation; `inverse` names the relation that holds the other way round."""

    name: str
    kind: Literal["symmetric", "antisymmetric", "inverse"]
    inverse: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A training text about one fact. Spans `subject` and `object` say where A and B stand.

    `order` is None for a text that tells the fact in both orders, one after the other; each entity
    then has two spans, in the order of the text. A span `completion` says where the completion
    begins if that is before the second entity. Each fact that is told besides has spans too,
    `subject:<its id>` and `object:<its id>`.
    """

    id: str
    fact: str
    order: Order | None
    template: str
    text: str
    spans: Spans = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The text before the completion; the completion begins with the space between them.

        Of a text that tells the fact twice, this is the prompt of the first telling.
        """
        if "completion" in self.spans:
            return self.text[: self.spans["completion"][0].start]
        second = max(spans[0].start for spans in self.spans.values())
        return self.text[:second].rstrip(" ")


@dataclass(frozen=True, slots=True)
class Query:
    """A prompt with its target and candidates; `candidates` holds the target."""

    id: str
    fact: str
    group: Group
    order: Order
    direction: Direction | None
    template: str
    seen: Seen
    prompt: str
    target: str
    candidates: list[str]
    spans: Spans = field(default_factory=dict)

    @property
    def source(self) -> Span:
        """Where the entity of the prompt stands (A when B is asked for, B when A is)."""
        return self.spans["subject" if self.order == "forward" else "object"][0]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A clean and a corrupted prompt, and the target that follows the clean one.

    Each name in `spans` has two entries: where it stands in the clean prompt, and where in the
    corrupted one, in characters of that prompt with the target after it. `source` is the entity of
    the prompt; `A` is the subject and `B` the object, wherever they stand. `order` is null where
    no order is meant, `line` where it was not read from a file. Where the prompts are queries',
    `query` is the one about `fact`, which is of `group` and asked in `template`, and `partner` is
    the fact of the other one.
    """

    id: str
    fact: str
    order: Order | None
    clean: str
    corrupted: str
    target: str
    foil: str | None = None
    spans: Spans = field(default_factory=dict)
    query: str | None = None
    template: str | None = None
    group: Group | None = None
    partner: str | None = None
    line: int | None = field(default=None, compare=False, repr=False)

    @property
    def direction(self) -> Direction | None:
        """Null where no group and order say one."""
        return direction_of(self.group, self.order) if self.group and self.order else None

    @property
    def named(self) -> str:
        """For messages: its id, and the line of the file it was read from."""
        where = f" (line {self.line})" if self.line and self.id != line_id(self.line) else ""
        return f"contrast {self.id!r}{where}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A premise and a hypothesis about two entities in one relation, and what the one says of the
    other.

    `form`: the entities of the hypothesis are the premise's in reverse (`swapped`), the same in
    other words (`unswapped`), or one of them is another (`wrong_entity`). `spans` are counted in
    the text that their name begins with: `premise.subject`, `premise.object`, `premise.relation`
    (the words of the relation, in as many pieces as the entities leave), and `hypothesis.…` alike.
    `label_set`: the published two labels, with swapped pairs alone and one wording in both texts,
    or three with all forms and two wordings. `held_out`: whether the hypothesis is in a wording
    that is for tests alone. No entity is in both splits.
    """

    id: str
    premise: str
    hypothesis: str
    relation: str
    label: Label
    form: PairForm
    entities: EntityForm
    label_set: LabelSet
    split: Split
    held_out: bool
    spans: Spans = field(default_factory=dict)


def line_id(line: int) -> str:
    """The id of what a file's line gives none."""
    return f"line {line}"


def direction_of(group: Group, order: Order) -> Direction | None:
    """`same`, `reverse` or `false_reverse` for facts told in one order, None for those in both."""
    told = TOLD_IN[group]
    if told is None or told == order:
        return None if told is None else "same"
    return "false_reverse" if group in FALSE_IN_REVERSE else "reverse"
