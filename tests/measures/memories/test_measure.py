"""The measure on a small run: nothing is measured where it was chosen; numbers are in tables."""

import numpy as np
import pytest

from interp_rc.evaluation.learnt_contrasts import learnt_contrasts
from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.memories.estimates import (
    CURVES,
    EXCHANGED,
    LAYERS,
    NAME,
    NEURONS,
    WRITERS,
)
from interp_rc.measures.memories.measure import Memories, other_template
from interp_rc.models.load import load
from interp_rc.records.errors import DataError
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.neurons.key_values import promoted
from interp_rc.tools.neurons.writers import neuron_writes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(learnt_run):
    return learnt_run, run_measure(Memories(), MeasureContext(learnt_run, load(learnt_run.model)))


def test_tables_hold_what_is_estimated(measured):
    run, found = measured
    assert set(found.tables) == {CURVES, LAYERS, EXCHANGED, NEURONS, WRITERS}
    curves = run.table(CURVES)
    some = curves[(curves.order == "forward") & (curves.group == "both")]
    some = some[(some.act == "ablate") & (some.set == "top") & (some.k == 4)]
    one = found.estimates[f"{NAME}.forward.both.ablate.top.k4"]
    assert one.value == pytest.approx(some.groupby("fact").effect.mean().mean())
    assert one.n == some.fact.nunique()
    exchanged = run.table(EXCHANGED)
    part = exchanged.query("order == 'backward' and group == 'both' and k == 2 and of == 'own'")
    part = part[part.swapped_with == "third"]
    name = f"{NAME}.backward.both.exchange_with_third.own_target.k2"
    assert found.estimates[name].value == pytest.approx(part.groupby("fact").effect.mean().mean())
    by_layer = [e.value for n, e in found.estimates.items() if n.endswith("given")]
    assert np.isfinite(by_layer).all()
    assert len(by_layer) == 2 * 2 * 3


def test_writers_are_chosen_in_the_other_template(measured):
    run, found = measured
    model, table = load(run.model), run.table(WRITERS)
    seed = derive_seed(run.config()["seed"], NAME)
    contrasts = learnt_contrasts(read_facts(run.facts), run.table("evaluation/answers"), 2, seed)
    by_id = {one.id: one for one in contrasts}
    row = table[(table.of == "foil") & (table.neurons == "few")].iloc[5]
    one = by_id[row.pair]
    other = next(
        c for c in contrasts if (c.fact, c.order) == (one.fact, one.order) and c.id != one.id
    )
    first = neuron_writes(model, [other.clean], [other.target]).flatten().argsort()[-16:]
    written = neuron_writes(model, [one.clean], [one.foil]).flatten()
    assert row.effect == pytest.approx(float(written[first].sum()), rel=1e-6)
    name = f"{NAME}.forward.both.written_by_all.target"
    part = table.query("order == 'forward' and group == 'both' and neurons == 'all'")
    part = part[part.of == "target"]
    assert found.estimates[name].value == pytest.approx(part.groupby("fact").effect.mean().mean())


def test_neurons_are_told_with_the_words_of_their_values(measured):
    run, _ = measured
    table, model = run.table(NEURONS), load(run.model)
    for rises in (True, False):
        row = table[table.rises == rises].iloc[1]
        every = [one.token.strip() for one in promoted(model, row.layer, row.neuron, 10**6)]
        words = every[:5] if rises else every[:-6:-1]
        assert row.promotes == " · ".join(words)
    assert (table.groupby("pair")["score"].diff().dropna() <= 1e-12).all()


def test_the_other_template_is_another_one_about_the_same_fact(measured):
    run, _ = measured
    contrasts = learnt_contrasts(read_facts(run.facts), run.table("evaluation/answers"), 2, 0)
    others = other_template(contrasts)
    for number, other in enumerate(others):
        assert other != number
        assert contrasts[other].fact == contrasts[number].fact
        assert contrasts[other].order == contrasts[number].order
    with pytest.raises(DataError, match="1 templates, not 2"):
        other_template(contrasts[:1])


def test_too_few_templates_are_refused(told):
    with pytest.raises(DataError, match="measure memories"):
        Memories().check(told)
