"""Run a trial: train a judge, ask it, and count."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from interp_rc.measures.symmetry.altered import neutral
from interp_rc.measures.symmetry.asked import asked
from interp_rc.measures.symmetry.forgetting import Forgetting
from interp_rc.measures.symmetry.kept import Kept
from interp_rc.measures.symmetry.plan import SHORTCUTS, Trial
from interp_rc.measures.symmetry.pools import Pools
from interp_rc.measures.symmetry.shortcuts import Frozen, Predict, fit_shortcut
from interp_rc.models.encoder import Encoder
from interp_rc.records.nouns import Label, Pair
from interp_rc.records.seeds import derive_seed
from interp_rc.training.symmetry.judge import Judge
from interp_rc.training.symmetry.options import Retraining

Row = dict[str, Any]
Retrain = Callable[[Encoder, Sequence[Pair], Retraining, int], Judge]


@dataclass(frozen=True)
class Bench:
    """What all trials share. `frozen` is the encoder, too, with a memory of what it read."""

    pools: Pools
    encoder: Encoder
    frozen: Frozen
    retrain: Retrain
    forgetting: Forgetting | None = None

    def run(self, trial: Trial) -> Kept:
        """`rows`: one for each relation, form and label of each test set, with `n` pairs, of which
        `hits` were answered by their label. `forgetting`: what `Forgetting.measure` gives."""
        judge = None if trial.method in SHORTCUTS else self._judge(trial)
        predict = judge.predict if judge else self._shortcut(trial)
        sets = asked(self.pools, trial)
        # All at once, because sets share texts, and each is read once.
        answers = iter(predict([pair for pairs in sets.values() for pair in pairs]))
        rows = [
            row
            for name, pairs in sets.items()
            for row in count(name, pairs, list(islice(answers, len(pairs))))
        ]
        found: Kept = {"rows": rows}
        if trial.forgetting and judge and self.forgetting:
            items = self.forgetting.measure(self.encoder, judge.encoder)
            found["forgetting"] = {name: values.tolist() for name, values in items.items()}
        return found

    def _train(self, trial: Trial) -> list[Pair]:
        return self.pools.train(trial.cell, trial.size, trial.seed, trial.draw, trial.left_out)

    def _shortcut(self, trial: Trial) -> Predict:
        return fit_shortcut(trial.method, self._train(trial), self.frozen)  # type: ignore[arg-type]

    def _judge(self, trial: Trial) -> Judge:
        """Its seed is of the draw, so that judges of one draw differ by their data or method; and
        of the relation left out, so that relations do not share one random judge."""
        options = Retraining(
            method=trial.method,  # type: ignore[arg-type]
            distance=trial.distance,
            epochs=trial.epochs,
            learning_rate=trial.learning_rate,
        )
        pairs = self._train(trial)
        # Of the same pairs: what is new is the label alone.
        added = neutral(pairs)[: trial.neutral] if trial.neutral else []
        seed = derive_seed(trial.seed, "judge", trial.draw, trial.left_out)
        if trial.together:
            return self.retrain(self.encoder, [*pairs, *added], options, seed)
        judge = self.retrain(self.encoder, pairs, options, seed)
        return judge.remember(added) if added else judge


def count(test: str, pairs: Sequence[Pair], answers: Sequence[Label]) -> list[Row]:
    every = Counter((pair.relation, pair.form, pair.label) for pair in pairs)
    hits = Counter(
        (pair.relation, pair.form, pair.label)
        for pair, answer in zip(pairs, answers, strict=True)
        if answer == pair.label
    )
    return [
        {
            "test": test,
            "relation": key[0],
            "form": key[1],
            "label": key[2],
            "n": n,
            "hits": hits[key],
        }
        for key, n in every.items()
    ]
