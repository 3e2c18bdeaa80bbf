"""Do sentence encoders know which relations are symmetric, and what does retraining them teach?

After the published symmetry-aware retraining of encoders (two-label form, four methods), with the
controls that tell knowledge of symmetry from knowledge of the relation's words.

Results are named ``symmetry.<protocol>.…`` and are rates ("fraction") unless said otherwise.
`<variant>` is a method (label_embeddings, nearest, joint_nearest, head), a method with another
distance (nearest_l2, nearest_rotate, label_embeddings_l2, label_embeddings_rotate; two labels and
names only), or a shortcut (lookup, relation_only, hypothesis_only, frozen_pair: always `after`).

main.<label_set>.<entities>.<variant>.<test>[.<form>].<before | after>
    accuracy over `draws` draws of `train` pairs. Tests: same, held_out (wordings), other_entities
    (names for ids and the other way round); with two labels also wrong_entity and shuffled, whose
    hypotheses have one or two other entities: the share that still get the answer of the
    relation's class, where right would be "does not follow". With three labels also by form
    (swapped, unswapped, wrong_entity). Interval: t over draws; where draws are all equal (or
    one), over the pairs of the test set.
new_label.<variant>.<remembered | together>.<neutral | rest | balanced>
    two labels and names, then a third: recall of the third, accuracy on the rest, mean recall of
    the three (chance 1/3). `remembered`: given to a trained judge; `together`: trained with it.
left_out.two_labels.<entities>.<variant>[.symmetric | .antisymmetric].<before | after>
    each relation tested by a judge that was trained on all others: mean over both classes of the
    mean over relations (n counts these); of one class alone
samples.<variant>.needed_<95 | 99 | 100>   ("pairs")  the median over draws of the smallest size
    that gets as many percent right, null if half of the draws or more never did
samples.<variant>.reached_<95 | 99 | 100>  the share of draws that did
samples.<variant>.size_<n>                 accuracy; complete at a smaller size counts as complete
own.<distance>.<embeddings | gaussian>     ("correlation")  of d(h∘l, p) with d(p∘l, h) at random l
forgetting.<method>.…                      see `forgetting_numbers.py`; over draws
trained                                    ("pairs")  trained on in all, repetitions counted;
                                           n counts trials
"""

from collections import Counter
from functools import partial
from typing import ClassVar, Literal

from interp_rc.facts.entailment_tables import read_entailment
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.symmetry.estimates import PAIRS, estimates
from interp_rc.measures.symmetry.forgetting import Forgetting
from interp_rc.measures.symmetry.forgotten import forgetting_tables, forgotten
from interp_rc.measures.symmetry.judged import tests, verdict
from interp_rc.measures.symmetry.kept import Ledger, run_all
from interp_rc.measures.symmetry.options import Protocols
from interp_rc.measures.symmetry.own_symmetry import own_symmetries
from interp_rc.measures.symmetry.plan import Trial, plan, total_trained
from interp_rc.measures.symmetry.pools import CELLS, FIRST, Cell, Pools
from interp_rc.measures.symmetry.shortcuts import Frozen
from interp_rc.measures.symmetry.table import table_of
from interp_rc.measures.symmetry.trials import Bench
from interp_rc.models.encoder import Encoder
from interp_rc.models.machine import spread
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured
from interp_rc.training.symmetry.retrain import retrain

TABLE = "evaluation/symmetry"
TRIALS = "symmetry_trials.jsonl"
OWN_LABELS = 50
FEWEST_RELATIONS = 4
WITHIN_A_THREAD = 50_000_000
"""Parameters of an encoder below which two trials at once are quicker than two threads on one."""


class Symmetry(Protocols, Measure[Encoder]):
    """Of an encoder as it is, and of copies that are retrained; see this module for the results.

    Kinds of pairs that the facts have none of are left out, and so are relations left out where
    there are fewer than four; the run's log says so.
    """

    kind: Literal["symmetry"] = "symmetry"
    takes: ClassVar = frozenset({"encoder"})

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts without pairs to train on and to test with, or too few."""
        pools = Pools(facts.pairs)
        if not pools.cells:
            raise DataError(
                "measure symmetry needs pairs to train on and others to test with, and there are "
                "none; use facts of kind symmetry or published_symmetry, or leave it out"
            )
        for cell in pools.cells:
            self._check_cell(pools, cell)

    def _check_cell(self, pools: Pools, cell: Cell) -> None:
        train, test = pools.choose(cell, "train"), pools.choose(cell, "test")
        needed = max([self.train, *(self.sizes if cell == FIRST else ())])
        if len(train) < needed:
            raise DataError(
                f"measure symmetry trains on up to {needed} pairs of {cell}, and the facts have "
                f"{len(train)}; give facts.train of {needed} or more, or fewer with `train` and "
                "`sizes`"
            )
        if len(test) < self.test:
            raise DataError(
                f"measure symmetry tests with {self.test} pairs of {cell}, and the facts have "
                f"{len(test)}; give facts.test of {self.test} or more, or a smaller `test`"
            )
        if len({pair.label for pair in train}) < 2:
            raise DataError(
                f"all pairs of {cell} to train on have the label {train[0].label!r}, which "
                "teaches no difference; add pairs with another"
            )
        (most, times), *_ = Counter(pair.relation for pair in train).most_common(1)
        if len(pools.relations(cell)) >= FEWEST_RELATIONS and (
            len(train) - times < self.left_out_train
        ):
            raise DataError(
                f"without relation {most}, {len(train) - times} pairs of {cell} are left to train "
                f"on, and `left_out_train` is {self.left_out_train}; give a larger facts.train, or "
                "0 to leave no relations out"
            )

    def run(self, context: MeasureContext[Encoder]) -> Measured:
        model = context.model
        pools, seed = Pools(context.facts.pairs), context.seed
        trials = self.plan(pools, seed)
        missing = [str(cell) for cell in CELLS if cell not in pools.cells]
        at_most = total_trained(trials)
        context.run.note("symmetry", trials=len(trials), trained_at_most=at_most, without=missing)
        forgetting = self._forgetting(seed)
        bench = Bench(pools, model, Frozen(model), retrain, forgetting)
        ledger = Ledger(context.run.evaluation / TRIALS, forgetting.digest())
        at_once = partial(spread, model.model, below=WITHIN_A_THREAD)
        done = run_all(trials, bench.run, ledger, at_once)
        tables = {TABLE: table_of(done)} | forgetting_tables(done, forgetting)
        for name, table in tables.items():
            context.write(name, table)
        found = estimates(tables[TABLE], self.sizes, seed) | forgotten(done, seed)
        found |= self._own(pools, model, seed)
        ran = [trial for trial, _ in done]
        trained = Estimate(total_trained(ran), None, None, len(ran), PAIRS)
        found.add(trained, quantity="trained")
        tested = tests(tables[TABLE], seed)
        return Measured(estimates=found, tests=tested, verdicts=verdict(found, tested))

    def plan(self, pools: Pools, seed: int) -> list[Trial]:
        """Relations are left out where each side keeps some: of four or more, in two classes."""
        relations = {cell: pools.relations(cell) for cell in pools.cells}
        many = {cell: found for cell, found in relations.items() if len(found) >= FEWEST_RELATIONS}
        return plan(self, pools.cells, many, seed)

    def _forgetting(self, seed: int) -> Forgetting:
        half = self.entailment_test // 2
        if self.entailment is None:
            return Forgetting.generated(seed, train=half, test=self.entailment_test)
        table = read_entailment(self.entailment, at_most=3 * half, seed=seed)
        return Forgetting.of_table(table, seed, train=half)

    def _own(self, pools: Pools, model: Encoder, seed: int) -> Estimates:
        cell = pools.cells[0]
        pairs = pools.test(cell, self.own_pairs)
        real = (
            model.embedded([p.hypothesis for p in pairs]),
            model.embedded([p.premise for p in pairs]),
        )
        return own_symmetries(real, self.distances, labels=OWN_LABELS, seed=seed)
