"""Where in an encoder does the class of a relation sit: symmetric, or antisymmetric?

Probes read it from the states of every layer, on relations that they were not trained on; and
states of a symmetric pair are put into an antisymmetric one, to see which of them change what a
classification head says. Texts are read together, as the head reads them.
"""

from typing import Annotated, ClassVar, Literal

import pandas as pd
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.symmetry_where.asked import class_of, couples, evenly, swapped_pairs
from interp_rc.measures.symmetry_where.estimates import (
    NAME,
    TESTED,
    accuracy,
    name_of_test,
    patching_estimates,
    probe_estimates,
)
from interp_rc.measures.symmetry_where.patching import Score, patched
from interp_rc.measures.symmetry_where.probing import permutation_test, probed, read_states
from interp_rc.models.encoder import Encoder
from interp_rc.models.untrained import untrained
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import Pair
from interp_rc.records.numbers import Estimate
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.training.symmetry.judge import Judge
from interp_rc.training.symmetry.methods import Head
from interp_rc.training.symmetry.options import Retraining
from interp_rc.training.symmetry.retrain import retrain

TABLE = f"mechanism/{NAME}"
FEWEST = 3
"""Relations of each class: one is left out, and one alone would tell itself and not its class."""


class SymmetryWhere(Measure[Encoder]):
    """Of three encoders of one shape: as it came, retrained with a head on the two-label form, and
    untrained.

    `train`: how many pairs it is retrained on. `per_relation`: how many test pairs of each relation
    are read. `shuffles`: how often the probes are trained on permuted classes everywhere, and
    `draws`: how often for the test at the words of the relation after the last layer.
    """

    kind: Literal["symmetry_where"] = "symmetry_where"
    takes: ClassVar = frozenset({"encoder"})
    train: Positive = 320
    per_relation: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 4
    shuffles: Positive = 10
    draws: Annotated[int, Field(ge=19)] = 199  # with fewer no p is below 0.05
    batch_size: Positive = 64
    retraining: Retraining = Retraining(method="head")

    @field_validator("retraining")
    @classmethod
    def _with_a_head(cls, value: Retraining) -> Retraining:
        if value.method != "head":
            raise ValueError("patching reads a classification head: give retraining.method=head")
        return value

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts without enough pairs of the two-label form."""
        read = evenly(swapped_pairs(facts.pairs, "test"), self.per_relation)
        classes = [class_of(name) for name in read]
        labels = {pair.label for pair in self._training(facts)}
        if min(classes.count("symmetric"), classes.count("antisymmetric")) < FEWEST:
            raise DataError(
                f"measure {NAME} needs {FEWEST} relations of each class with {self.per_relation} "
                "test pairs of the two-label form in wordings for training; found "
                f"{classes.count('symmetric')} symmetric and {classes.count('antisymmetric')} "
                "antisymmetric ones: build facts with more test pairs, or give fewer per_relation"
            )
        if len(labels) != 2:
            raise DataError(
                f"measure {NAME} retrains on {self.train} pairs of the two-label form for "
                f"training, which have {len(labels)} labels; build facts with more of them"
            )

    def _training(self, facts: FactSet) -> list[Pair]:
        return swapped_pairs(facts.pairs, "train")[: self.train]

    def run(self, context: MeasureContext[Encoder]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        test = swapped_pairs(facts.pairs, "test")
        read = evenly(test, self.per_relation)
        judge = self._retrained(model, self._training(facts), seed)
        encoders = {
            "pretrained": model,
            "retrained": judge.encoder,
            "untrained": untrained(model, derive_seed(seed, "untrained")),
        }
        tables, tests = [], []
        for name, encoder in tqdm(encoders.items(), desc="probes", disable=None):
            states = read_states(encoder, read, self.batch_size)
            tables.append(probed(states, list(read), self.shuffles, seed).assign(encoder=name))
            last = states[TESTED][:, -1]
            called = name_of_test(name, states[TESTED].shape[1] - 1)
            tests.append(permutation_test(last, list(read), self.draws, seed, name=called))
        probes = pd.concat(tables, ignore_index=True)
        estimates = Estimates(NAME)
        estimates.add(judged(judge, test), part="head", quantity="accuracy")
        estimates |= probe_estimates(probes)
        parts = {"probe": probes.assign(metric="accuracy")}
        coupled = couples(judge.encoder, read)
        if coupled:
            effects = patched(judge.encoder, coupled, score_of(judge), self.batch_size)
            estimates |= patching_estimates(effects, seed)
            parts["patching"] = effects.assign(encoder="retrained", metric="logit_difference")
        table = pd.concat([t.assign(part=part, site="stream") for part, t in parts.items()])
        context.write(TABLE, table.reset_index(drop=True))
        return Measured(estimates=estimates, tests=holm(tests))

    def _retrained(self, model: Encoder, pairs: list[Pair], seed: int) -> Judge:
        with tqdm(desc="retraining", unit="step", disable=None) as bar:

            def report(step: int, steps: int, _: float | None) -> None:
                bar.total = steps
                bar.update(step - bar.n)

            return retrain(model, pairs, self.retraining, derive_seed(seed, "retrain"), report)


def judged(judge: Judge, pairs: list[Pair]) -> Estimate:
    """How many of the test pairs the retrained head is right about."""
    said = judge.predict(pairs)
    rows = [
        {
            "relation": pair.relation,
            "symmetric": class_of(pair.relation) == "symmetric",
            "right": float(label == pair.label),
        }
        for pair, label in zip(pairs, said, strict=True)
    ]
    return accuracy(pd.DataFrame(rows))


def score_of(judge: Judge) -> Score:
    """The head's logit of `entailment`, which symmetric pairs have, less that of the other."""
    head = judge.rule
    assert isinstance(head, Head)
    mine = judge.labels.index("entailment")

    def score(vectors: Float[Tensor, "text width"]) -> Float[Tensor, " text"]:
        logits = head.logits(normalize(vectors, dim=-1)[:, None]).cpu()
        return logits[:, mine] - logits[:, 1 - mine]

    return score
