"""What one real step of training on "A is B" does to "B is A", and to the representations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from interp_rc.evaluation.queries import BothWays, both_ways, groups_of
from interp_rc.facts.factset import FactSet
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, Document, Query
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.gradients.training_steps import learn, optimizer_of, restored
from interp_rc.tools.probing.source_streams import streams_at_source
from interp_rc.training.options import TrainingOptions

Step = Literal["told", "other_order"]
OTHERS = 3  # facts that a fact is compared with
CHANGE = "nat"
MOVEMENT = "share of norm"


@contextmanager
def stepped(
    loaded: Loaded, documents: Sequence[Document], training: TrainingOptions
) -> Iterator[None]:
    """One AdamW step on a batch of these documents; the weights are exactly the old ones after.

    The state of the optimiser is fresh and the learning rate the whole one, without warm-up, so
    that every weight moves by about learning rate x sign of its gradient. Objective, clipping
    and decay (of matrices only) are the run's; all weights move, also where the run trains
    adapters. The model stays in evaluation mode: no dropout.
    """
    with restored(loaded.model):
        learn(loaded, documents, training, optimizer_of(loaded.model, training))
        yield


class _State(NamedTuple):
    """The fact comes first, then some others of its group; streams as `streams_at_source`."""

    same: Float[np.ndarray, "prompt target"]
    reverse: Float[np.ndarray, "prompt target"]
    name: Float[Tensor, "fact stream width"]
    description: Float[Tensor, "fact stream width"]


def one_step(
    base: Loaded, facts: FactSet, training: TrainingOptions, *, steps_on: int, seed: int
) -> pd.DataFrame:
    """One row a fact, step and quantity, of `steps_on` facts a group.

    Step `told` is on one training document of the fact (`both`: of those name first), and
    `other_order` on its telling in the other order, made of a query's prompt and target in a
    template that nothing is measured in. Quantities, each with its own value, that of `others`
    (some other facts of the group, in the same template) and the `difference`:

    - `target`: change in nats of the own target, and of the others' targets, after the own prompt;
    - `bound`: that difference, and the same one after the others' prompts. A step that makes the
      target likelier everywhere, as training on any text with the name does, raises the first
      alone; only what ties the target to its prompt raises both;
    - `movement`: ||after - before|| / ||before|| of the stream at the last token of the own name
      or description, and at those of the others.
    """
    adapter = Adapter(base.model)
    rows = []
    for group in groups_of(facts.queries):
        cell = both_ways(facts.queries, group)
        draw, places = generator(seed, group), range(len(cell.same[0]))
        for i in sorted(draw.sample(places, min(steps_on, len(places)))):
            others = [j for j in places if j != i]
            some = [i, *draw.sample(others, min(OTHERS, len(others)))]
            fact = cell.same[0][i].fact
            told = [d for d in facts.documents if d.fact == fact and d.order == cell.order]
            before = _state(base, adapter, cell, some)
            steps: dict[Step, Document] = {
                "told": generator(seed, "document", fact).choice(told),
                "other_order": telling(cell.reverse[1][i]),
            }
            for step, document in steps.items():
                with stepped(base, [document], training):
                    after = _state(base, adapter, cell, some)
                found = [*_changes(before, after), *_movements(before, after)]
                rows += [{"group": group, "fact": fact, "step": step} | row for row in found]
    return pd.DataFrame(rows).astype({"layer": "Int64"})


def telling(query: Query) -> Document:
    """A query's prompt and target as a sentence."""
    text = query.prompt + query.target + "."
    return Document(query.id, query.fact, query.order, query.template, text, query.spans)


def _state(base: Loaded, adapter: Adapter, cell: BothWays, some: Sequence[int]) -> _State:
    told, reverse = ([queries[i] for i in some] for queries in (cell.same[0], cell.reverse[0]))
    nats = log_probs(base, told, reverse)
    queries = [cell.asked(order)[i] for order in ORDERS for i in some]
    streams = streams_at_source(base, adapter, queries)
    return _State(nats[0], nats[1], streams[: len(some)], streams[len(some) :])


def log_probs(loaded: Loaded, *lists: Sequence[Query]) -> list[Float[np.ndarray, "prompt target"]]:
    """Within each list, every query's target after every query's prompt, in nats."""
    pairs = [(p.prompt, t.target) for queries in lists for p in queries for t in queries]
    prompts, targets = zip(*pairs, strict=True)
    found = np.asarray(score(loaded.model, loaded.tokenizer, prompts, targets).log_prob)
    parts = np.split(found, np.cumsum([len(queries) ** 2 for queries in lists])[:-1])
    return [p.reshape(len(queries), -1) for p, queries in zip(parts, lists, strict=True)]


def _changes(before: _State, after: _State) -> Iterator[dict[str, object]]:
    for of, change in (
        ("same", after.same - before.same),
        ("reverse", after.reverse - before.reverse),
    ):
        own, others = change[0, 0], change[0, 1:].mean()
        yield _row("target", of, None, own, others)
        yield _row("bound", of, None, own - others, elsewhere(change))


def elsewhere(change: Float[np.ndarray, "prompt target"]) -> float:
    """After the others' prompts, the change of the first target less that of the other wrong
    targets; with a single other there is no such target, and its right one stands in."""
    others = change[1:, 1:]
    wrong = others[~np.eye(len(others), dtype=bool)] if len(others) > 1 else others
    return float(change[1:, 0].mean() - wrong.mean())


def _movements(before: _State, after: _State) -> Iterator[dict[str, object]]:
    for of, old, new in (
        ("name", before.name, after.name),
        ("description", before.description, after.description),
    ):
        moved = np.asarray((new - old).norm(dim=-1) / old.norm(dim=-1))
        others = moved[1:].mean(0)
        for stream, (own, other) in enumerate(zip(moved[0], others, strict=True)):
            yield _row("movement", of, stream - 1 if stream else None, own, other)


def _row(quantity: str, of: str, layer: int | None, own: float, others: float) -> dict[str, object]:
    return {
        "quantity": quantity,
        "of": of,
        "layer": layer,
        "own": float(own),
        "others": float(others),
        "difference": float(own - others),
    }


def add_steps(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """Own less others, by group: nats of each step, and movement by the step as told."""

    def put(rows: pd.DataFrame, unit: str, use: str, **of: Any) -> None:
        values = np.asarray(rows.difference, dtype=float)
        found.add(bootstrap_mean(values, unit, seed=derive_seed(seed, use)), **of)

    nats = table[table.quantity != "movement"]
    keys = ["group", "step", "of", "quantity"]
    for (group, step, direction, quantity), rows in nats.groupby(keys, sort=False):
        of = {"part": "one_step", "group": group, "edit": step, "direction": direction}
        put(rows, CHANGE, found.name(**of, quantity=quantity), **of, quantity=quantity)
    moved = table[(table.quantity == "movement") & (table.step == "told")]
    for (group, role, layer), rows in moved.groupby(
        ["group", "of", "layer"], sort=False, dropna=False
    ):
        at = {"layer": layer} if str(layer).isdigit() else {"place": "embedding"}
        of = {"part": "movement", "group": group, "role": role, **at}
        put(rows, MOVEMENT, found.name(**of), **of)
