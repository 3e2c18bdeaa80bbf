"""Asks a model while it learns, and keeps what it says in a table that survives a kill."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet
from interp_rc.records.tables import read_parquet
from interp_rc.training.sample import Asked


class Watch(NamedTuple):
    """What to ask, how often (in epochs), and the file to keep the answers in."""

    asked: Sequence[Asked]
    every: float
    file: Path


def due_steps(updates: int, epochs: int, every: float) -> set[int]:
    """Steps nearest to every so many epochs; the first (0) and the last are always among them."""
    marks = range(int(epochs / every + 1e-9) + 1)
    return {0, updates, *(round(mark * every * updates / epochs) for mark in marks)}


class Tracer(TrainerCallback):
    """Writes one row a query, set and due step: the target's log-probability (nats, sum over its
    tokens) and whether greedy decoding would say it.

    The weights are only read, in float32, and no generator is drawn from.
    """

    def __init__(self, loaded: Loaded, watch: Watch, *, updates: int, epochs: int) -> None:
        self.loaded, self.watch = loaded, watch
        self.updates, self.epochs = updates, epochs
        self.due = due_steps(updates, epochs, watch.every)
        self.rows: list[pd.DataFrame] = []

    def continues_from(self, step: int) -> bool:
        """Take up what was written until a checkpoint; False if some of it is not there."""
        try:
            found = read_parquet(self.watch.file)
        except DataError:
            return False
        kept = sorted(at for at in self.due if at <= step)
        self.rows = [found[found.step == at] for at in kept]
        return not any(part.empty for part in self.rows)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step == 0:
            self.rows = []
            self._ask(0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step in self.due:
            self._ask(state.global_step)

    def _ask(self, step: int) -> None:
        asked = self.watch.asked
        with _as_evaluated(self.loaded.model):
            scores = score(
                *self.loaded, [one.query.prompt for one in asked], [one.target for one in asked]
            )
        columns = {
            name: [getattr(one.query, name) for one in asked]
            for name in ("group", "order", "direction", "template", "fact")
        }
        table = pd.DataFrame(
            {
                "step": step,
                "epoch": step * self.epochs / self.updates,
                **columns,
                "set": [one.set for one in asked],
                "log_prob": scores.log_prob.numpy(),
                "greedy": scores.greedy.numpy(),
            }
        )
        self.rows.append(table)
        write_parquet(self.watch.file, pd.concat(self.rows, ignore_index=True))


@contextmanager
def _as_evaluated(model: torch.nn.Module) -> Iterator[None]:
    """Without dropout, and without the autocast that Accelerate lays over an instance's forward."""
    autocast = model.__dict__.pop("forward", None)
    try:
        with evaluating(model):
            yield
    finally:
        if autocast is not None:
            model.__dict__["forward"] = autocast
