"""Does training on "A is B" move B's representation, and where? Step by step, and in the whole."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd

from interp_rc.evaluation.queries import both_ways, groups_of
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.movement.entity_places import (
    ROLES,
    At,
    Entity,
    gradient_norms,
    in_the_place_of,
    movements,
    representations,
)
from interp_rc.measures.movement.estimates import moved, movement_estimates
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.causality import prove_causal
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, Document, Fact, Group
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.tools.gradients.training_steps import learn, optimizer_of, restored
from interp_rc.training.batches import plan_batches
from interp_rc.training.options import TrainingOptions

TABLE = "mechanism/movement"
NAMED = {"subject": "name", "object": "description"}
FEWEST = 4  # facts a group: two told, two untold


class Movement(Measure[Loaded]):
    """`steps` of AdamW are taken, and looked at after 1, 2, 4, … of them."""

    kind: Literal["movement"] = "movement"
    looks_inside: ClassVar = True
    steps: Positive = 16

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless every group is asked in two templates an order, and four of
        its facts are told."""
        for group in groups_of(facts.queries):
            both_ways(facts.queries, group)
            told = {document.fact for document in facts.documents if document.order is not None}
            there = [f for f in facts.facts if f.group == group and f.id in told]
            if len(there) < FEWEST:
                raise DataError(
                    f"measure movement trains on half of a group's facts, and {group} has "
                    f"{len(there)} that a document tells; needed are {FEWEST}: tell more, or leave "
                    "the measure out"
                )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        """In a run without training the model itself is trained, with the default options."""
        model = context.model
        facts, seed = context.facts, derive_seed(context.seed, self.kind)
        base, training = context.base, context.training
        with threads_for(model.model):
            frames = [by_steps(base or model, facts, training, steps=self.steps, seed=seed)]
            if base is not None:
                known = context.known_facts.facts if context.known_facts else []
                frames.append(by_finetuning(base, model, facts, known, seed=seed))
        table = pd.concat(frames, ignore_index=True)
        context.write(TABLE, table)
        return Measured(estimates=movement_estimates(table, seed), tests=moved(table))


def by_steps(
    base: Loaded, facts: FactSet, training: TrainingOptions, *, steps: int, seed: int
) -> pd.DataFrame:
    """What the first steps of training on half of a group's facts move, one row a fact and place.

    Both halves are told in turn, each to the base model. `own` is how far an entity's
    representation moves when its fact is told, `others` how far the same one moves when the other
    half is: what training moves everywhere, or through tokens that entities share, is in both.
    `movement` is a share of the representation's norm after so many `steps`; batches, objective,
    clipping and decay are the run's, the learning rate is the whole one from the first step on.
    `gradient` is that of the loss of a document of a fact of the first half, at a model that took
    so many (see `gradient_norms`); its others are the rows of an untold fact's entities, whose
    streams are not in that document: null.

    Raises ScoringError for models that are not causal.
    """
    prove_causal(base.model)
    adapter = Adapter(base.model)
    rows: list[dict[str, Any]] = []
    for group in groups_of(facts.queries):
        folds = halves(facts, group, seed)
        entities = _entities(facts, group, [*folds[0], *folds[1]])
        before = representations(base, adapter, entities)
        found: dict[int, list[dict[At, list[float]]]] = {}
        for told, untold in (folds, folds[::-1]):
            ids = {fact.id for fact in told}
            documents = [d for d in facts.documents if d.fact in ids and d.order is not None]
            with restored(base.model):
                for n in _trained(base, documents, training, steps, seed):
                    about = {"phase": "steps", "steps": n, "group": group}
                    if n:
                        after = representations(base, adapter, entities)
                        found.setdefault(n, []).append(movements(before, after))
                    if told is folds[0]:
                        pulls = _gradients(base, adapter, told, untold, documents, training, seed)
                        rows.extend(about | row for row in pulls)
        for n, (first, second) in found.items():
            about = {"phase": "steps", "steps": n, "group": group}
            rows.extend(about | row for row in _paired(first, second, folds))
    return _table(rows).assign(tied=_is_tied(base))


def _is_tied(base: Loaded) -> bool:
    return base.model.get_input_embeddings().weight is base.model.get_output_embeddings().weight


def halves(facts: FactSet, group: Group, seed: int) -> tuple[list[Fact], list[Fact]]:
    """As many facts to tell as to leave untold, drawn from those that documents tell."""
    about = {document.fact for document in facts.documents if document.order is not None}
    there = [fact for fact in facts.facts if fact.group == group and fact.id in about]
    drawn = generator(seed, group, "halves").sample(there, len(there))
    half = len(there) // 2
    return drawn[:half], drawn[half : 2 * half]


def _entities(facts: FactSet, group: Group, some: Sequence[Fact]) -> list[Entity]:
    """Of all facts the subjects, then of all the objects, each in a prompt that names it."""
    cell = both_ways(facts.queries, group)
    subjects, objects = ({query.fact: query for query in cell.asked(order)} for order in ORDERS)
    return [
        *(Entity(fact.subject, subjects[fact.id]) for fact in some),
        *(Entity(fact.object, objects[fact.id]) for fact in some),
    ]


def _trained(
    base: Loaded,
    documents: Sequence[Document],
    training: TrainingOptions,
    steps: int,
    seed: int,
) -> Iterator[int]:
    """How many steps were taken: 0, 1, 2, 4, …, and all of them."""
    yield 0
    lengths = [len(e.ids) for e in training.objective.examples(base.tokenizer, documents)]
    size = training.batch_size
    epochs = -(-steps // -(-len(documents) // size))
    plan = plan_batches(lengths, batch_size=size, epochs=epochs, seed=derive_seed(seed, "batches"))
    optimizer = optimizer_of(base.model, training)
    for number, batch in enumerate(plan[:steps], start=1):
        learn(base, [documents[i] for i in batch], training, optimizer)
        if number & (number - 1) == 0 or number == steps:
            yield number


def _paired(
    first: dict[At, list[float]],
    second: dict[At, list[float]],
    folds: tuple[Sequence[Fact], Sequence[Fact]],
) -> Iterator[dict[str, Any]]:
    """Movements when the first and when the second half was told, in the order of `_entities`."""
    facts = [*folds[0], *folds[1]]
    for at in first:
        for number, role in enumerate(ROLES):
            for i, fact in enumerate(facts):
                place = number * len(facts) + i
                ends = first[at][place], second[at][place]
                own, others = ends if i < len(folds[0]) else ends[::-1]
                yield _row("movement", None, fact, role, at, own, others)


def _gradients(
    base: Loaded,
    adapter: Adapter,
    told: Sequence[Fact],
    untold: Sequence[Fact],
    documents: Sequence[Document],
    training: TrainingOptions,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Of one document of each told fact, in each order that it is told in."""
    some = []
    for fact, other in zip(told, untold, strict=True):
        for order in sorted({str(d.order) for d in documents if d.fact == fact.id}):
            there = [d for d in documents if (d.fact, d.order) == (fact.id, order)]
            some.append((fact, other, generator(seed, "document", fact.id, order).choice(there)))
    texts = [(f.subject, f.object, other.subject, other.object) for f, other, _ in some]
    pulls = gradient_norms(base, adapter, [d for *_, d in some], texts, training)
    for (fact, _, document), found in zip(some, pulls, strict=True):
        for at, (*own, subject, object_) in found.items():
            for role, pull, theirs in zip(ROLES, own, (subject, object_), strict=True):
                yield _row("gradient", document.order, fact, role, at, pull, theirs)


def by_finetuning(
    base: Loaded, model: Loaded, facts: FactSet, known: Sequence[Fact], *, seed: int
) -> pd.DataFrame:
    """What the whole finetuning moved: the same, of all facts.

    All facts were told, so the others are entities that the base model was pretrained on and that
    finetuning never named (unless it replays the base corpus), each put into the very prompt of
    the fact that it is paired with. Null where the base model's facts are not known. They were
    known before and the finetuned ones were not: the fairer comparison of A with B is that of
    names told first with names told second, and of descriptions likewise.
    """
    adapters = Adapter(base.model), Adapter(model.model)
    rows: list[dict[str, Any]] = []
    for group in groups_of(facts.queries):
        told = [fact for fact in facts.facts if fact.group == group]
        draw = generator(seed, group, "known")
        others = [draw.choice(list(known)) for _ in told] if known else []
        own = _entities(facts, group, told)
        texts = [*(fact.subject for fact in others), *(fact.object for fact in others)]
        replaced = [
            Entity(text, in_the_place_of(entity.query, text))
            for entity, text in zip(own, texts, strict=False)
        ]
        ends = [
            representations(one, adapter, [*own, *replaced])
            for one, adapter in zip((base, model), adapters, strict=True)
        ]
        for at, values in movements(*ends).items():
            for number, (entity, value) in enumerate(zip(own, values, strict=False)):
                fact, role = told[number % len(told)], ROLES[number // len(told)]
                other = values[len(own) + number] if replaced else None
                about = {"phase": "finetuned", "steps": None, "group": group}
                rows.append(about | _row("movement", None, fact, role, at, value, other))
                assert entity.query.fact == fact.id
    return _table(rows).assign(tied=_is_tied(base))


def _row(
    quantity: str, order: Any, fact: Fact, role: str, at: At, own: float | None, other: float | None
) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "order": order,
        "fact": fact.id,
        "of": NAMED[role],
        "place": at.place,
        "layer": at.layer,
        "own": own,
        "others": other,
        "difference": None if own is None or other is None else own - other,
    }


def _table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    numbers = dict.fromkeys(("own", "others", "difference"), float)
    return pd.DataFrame(rows).astype({"layer": "Int64", "steps": "Int64", **numbers})
