"""What is planted where: look-ups and heads in an unrotated residual basis."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast, Order
from interp_rc.records.seeds import generator

Kind = Literal["mlp", "attention", "two_way", "two_stores", "decoy", "value_as_key"]
Shape = Literal["gpt2", "llama"]
KINDS: tuple[Kind, ...] = get_args(Kind)[:-1]  # the last differs from the first in what is written
SHAPES: tuple[Shape, ...] = get_args(Shape)

FACTS, LAYERS, HEADS, WIDTH = 8, 4, 3, 96

# Dimensions of the residual stream before it is rotated.
CONST, ENTITY, ASKS_NAME, ASKS_DESCRIPTION = 0, 1, 2, 3
POSITION = (4, 5)
NAMES = range(6, 14)
DESCRIPTIONS = range(14, 22)
FOUND_NAMES = range(22, 30)  # written where the entity stands
FOUND_DESCRIPTIONS = range(30, 38)
SAY_NAMES = range(38, 46)  # what the output rows read
SAY_DESCRIPTIONS = range(46, 54)
DECOY_MLP = range(54, 62)  # read by nothing
DECOY_HEAD = range(62, 70)
FILLER = range(70, 94)


@dataclass(frozen=True, slots=True)
class At:
    """A component's output at the last token of the entity, or of the whole prompt."""

    place: Place
    span: Literal["source", "prompt"]


@dataclass(frozen=True, slots=True)
class Planted:
    """A model, its prompts per order, and what is true of it.

    Patching `store` moves the answer; `carriers` (later than it) bring what it found to the last
    token; exchanging `null` between clean and corrupted prompt leaves the last logits unchanged.
    """

    loaded: Loaded
    kind: str
    contrasts: dict[Order, list[Contrast]]
    store: dict[Order, At]
    carriers: dict[Order, list[At]]
    null: dict[Order, list[At]]
    neurons: dict[Order, list[int]] = field(default_factory=dict)  # of the store, one a fact


@dataclass(frozen=True, slots=True)
class Lookup:
    """Neurons, one a fact: the sum of the dimensions `reads[i]` is answered with `writes[i]`."""

    layer: int
    reads: list[tuple[int, ...]]
    writes: list[int]
    strength: float


@dataclass(frozen=True, slots=True)
class Mover:
    """A head that attends to the entity and moves dimensions `reads[i]` to `writes[i]`."""

    layer: int
    head: int
    reads: list[int]
    writes: list[int]
    strength: float


@dataclass(slots=True)
class Plan:
    """All that is planted, and where; `pairs[i]` is the description of name i."""

    pairs: list[int]
    answer_strength: float  # logits, roughly, between the answer and the other candidates
    shared: bool = False  # names and descriptions have one dimension a fact
    lookups: list[Lookup] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)
    store: dict[Order, At] = field(default_factory=dict)
    carriers: dict[Order, list[At]] = field(default_factory=dict)


def make_plan(kind: Kind, seed: int) -> Plan:
    """Layers, heads, pairing and strengths drawn from `seed`."""
    draw = generator(seed, "planted", kind)
    pairs = draw.sample(range(FACTS), FACTS)
    plan = Plan(pairs, answer_strength=draw.uniform(12, 16))
    names, descriptions = list(NAMES), [DESCRIPTIONS[j] for j in pairs]
    say_names, say_descriptions = list(SAY_NAMES), [SAY_DESCRIPTIONS[j] for j in pairs]
    found_names, found_descriptions = list(FOUND_NAMES), [FOUND_DESCRIPTIONS[j] for j in pairs]
    head = draw.randrange(HEADS)

    def strength() -> float:
        return draw.uniform(1.5, 3)

    if kind == "attention":
        layer = draw.randrange(LAYERS)
        plan.movers.append(Mover(layer, head, names, say_descriptions, strength()))
        plan.store = {"forward": At(Place("attn_out", layer), "prompt")}
        plan.carriers = {"forward": []}
        return plan

    mover = draw.randrange(2 if kind == "two_stores" else 1, LAYERS)
    carrier = At(Place("attn_out", mover), "prompt")
    if kind == "two_stores":
        layers = draw.sample(range(mover), 2)
        plan.lookups = [
            Lookup(layers[0], [(i,) for i in names], found_descriptions, strength()),
            Lookup(layers[1], [(i,) for i in descriptions], found_names, strength()),
        ]
        reads, writes = found_names + found_descriptions, say_names + say_descriptions
        orders: dict[Order, int] = {"forward": layers[0], "backward": layers[1]}
    else:
        layer = draw.randrange(mover)
        orders = {"forward": layer}
        keys: list[tuple[int, ...]] = [(i,) for i in names]
        reads, writes = found_descriptions, say_descriptions
        if kind == "two_way":
            plan.shared = True
            orders["backward"] = layer
            keys = list(zip(names, descriptions, strict=True))
            reads, writes = found_names, say_names
        if kind == "value_as_key":  # what is written is what the description's own token brings
            reads = descriptions
        plan.lookups = [Lookup(layer, keys, reads, strength())]
        if kind == "decoy":
            elsewhere = draw.choice([i for i in range(LAYERS) if i != layer])
            plan.lookups.append(
                Lookup(elsewhere, [(i,) for i in names], list(DECOY_MLP), 2 * strength())
            )
            elsewhere = draw.choice([i for i in range(LAYERS) if i != mover])
            away = draw.randrange(HEADS)
            plan.movers.append(Mover(elsewhere, away, names, list(DECOY_HEAD), 2 * strength()))
    plan.movers.append(Mover(mover, head, reads, writes, strength()))
    plan.store = {order: At(Place("mlp_out", layer), "source") for order, layer in orders.items()}
    plan.carriers = {order: [carrier] for order in orders}
    return plan


def null_sites(plan: Plan, order: Order) -> list[At]:
    """Every attention and MLP output at either token that is off the path."""
    path = [plan.store[order], *plan.carriers[order]]
    everywhere = [
        At(Place(component, layer), span)
        for layer in range(LAYERS)
        for component in ("attn_out", "mlp_out")
        for span in ("source", "prompt")
    ]
    return [at for at in everywhere if at not in path]
