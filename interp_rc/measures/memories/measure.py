"""Key–value memories: how many neurons carry a fact, and are their values what keys bring?"""

from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Literal

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from interp_rc.engine.sites import Site
from interp_rc.evaluation.learnt_contrasts import (
    check_asked,
    learnt_contrasts,
    with_conditions,
)
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.memories.estimates import (
    CURVES,
    EXCHANGED,
    FEW,
    LAYERS,
    NAME,
    NEURONS,
    WRITERS,
    estimates,
    tests,
)
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, Contrast
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.neurons.curves import neuron_curves
from interp_rc.tools.neurons.exchange import exchange_values
from interp_rc.tools.neurons.key_values import key_values, promotes
from interp_rc.tools.neurons.ranking import Ranking, rank_neurons
from interp_rc.tools.neurons.writers import neuron_writes
from interp_rc.tools.patching.patching import patch

TEMPLATES = 2  # neurons are ranked in one and measured in the other
EXCHANGES = (1, 2, 4, 8, 16, 32)
TOLD_OF = 5  # neurons of each fact, in the table of words
WORDS = 5


class Memories(Measure[Loaded]):
    """The neurons that make the difference between two learnt facts at the source's tokens.

    Every neuron is ranked in one template and measured in another, and the other way round.
    Control: neurons at random that write as much; facts told the other way, of which nothing should
    be carried; and values exchanged with those of a third fact.
    """

    kind: Literal["memories"] = "memories"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless some templates can select facts and others measure them."""
        check_asked(facts, TEMPLATES, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        contrasts = learnt_contrasts(facts, context.answers, TEMPLATES, seed)
        if not contrasts:
            return Measured()
        with threadpool_limits(1, user_api="blas"):
            ranked = rank_neurons(model, contrasts)
            crossed = ranked.of(other_template(contrasts))
            curves = neuron_curves(model, contrasts, crossed, seed=seed)
            layers = patch(model, contrasts, coefficient_sites(model)).table
            writers = writer_table(model, contrasts)
            exchanged = [*exchanged_by_order(model, contrasts, crossed)]
        tables = {
            LAYERS: layers,
            CURVES: curves,
            WRITERS: writers,
            NEURONS: neuron_table(model, contrasts, ranked),
        }
        if exchanged:
            tables[EXCHANGED] = pd.concat(exchanged)
        tables = {name: with_conditions(table, contrasts) for name, table in tables.items()}
        for name, table in tables.items():
            context.write(name, table)
        return Measured(estimates(tables, seed), tests(tables))


def coefficient_sites(model: Loaded) -> list[Site]:
    """All coefficients of a layer at the source's tokens."""
    layers = Adapter(model.model).layers
    return [Site("mlp_post", layer, "source", "all") for layer in range(layers)]


def other_template(contrasts: Sequence[Contrast]) -> list[int]:
    """For every contrast the number of the one about the same fact in the other template."""
    of_fact: dict[tuple[str, str | None], list[int]] = {}
    for number, one in enumerate(contrasts):
        of_fact.setdefault((one.fact, one.order), []).append(number)
    others = []
    for number, one in enumerate(contrasts):
        two = of_fact[one.fact, one.order]
        if len(two) != TEMPLATES:
            raise DataError(f"{one.named}: fact {one.fact} is asked in {len(two)} templates, not 2")
        others.append(two[two[0] == number])
    return others


def exchanged_by_order(
    model: Loaded, contrasts: Sequence[Contrast], ranked: Ranking
) -> Iterator[pd.DataFrame]:
    """In the layer whose neurons contribute most to all facts asked in the order."""
    for order in ORDERS:
        mine = [number for number, one in enumerate(contrasts) if one.order == order]
        facts = {contrasts[number].fact for number in mine}
        if len(facts) < 3:
            continue
        of_order = ranked.of(mine)
        layer = int(of_order.own.sum(-1).mean(0).argmax())
        ks = [k for k in EXCHANGES if k <= of_order.score.shape[-1] // 4]
        some = [contrasts[number] for number in mine]
        yield exchange_values(model, some, of_order, layer=layer, ks=ks)


def writer_table(model: Loaded, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """What neurons add to the logits of the target and of the foil, over the vocabulary's mean: all
    of them, and the few that write the same target most in the other template."""
    prompts = [one.clean for one in contrasts]
    asked = {
        "target": [one.target for one in contrasts],
        "foil": [one.foil or one.target for one in contrasts],
    }
    written = {of: neuron_writes(model, prompts, some).flatten(1) for of, some in asked.items()}
    first = written["target"][other_template(contrasts)].argsort(dim=1, descending=True)[:, :FEW]
    rows = []
    for of, found in written.items():
        for kind, sums in (("few", found.gather(1, first).sum(1)), ("all", found.sum(1))):
            for one, value in zip(contrasts, sums.tolist(), strict=True):
                row = {"pair": one.id, "fact": one.fact, "order": one.order}
                rows.append(row | {"of": of, "neurons": kind, "effect": value})
    return pd.DataFrame(rows)


def neuron_table(model: Loaded, contrasts: Sequence[Contrast], ranked: Ranking) -> pd.DataFrame:
    """The first neurons of every contrast, with the words that their difference promotes: those of
    their values, or of the opposite where the clean fact's coefficient is the lower one."""
    adapter, neurons = Adapter(model.model), ranked.score.shape[-1]
    first = [ranked.order(number)[:TOLD_OF].tolist() for number in range(len(contrasts))]
    rises = ranked.rises.flatten(1)
    chosen = [[(n, bool(rises[row, n])) for n in some] for row, some in enumerate(first)]
    words = _words(model, adapter, {one for some in chosen for one in some}, neurons)
    rows = []
    for number, one in enumerate(contrasts):
        score = ranked.score[number].flatten()
        for rank, (neuron, rise) in enumerate(chosen[number], 1):
            rows.append(
                {
                    "pair": one.id,
                    "fact": one.fact,
                    "order": one.order,
                    "rank": rank,
                    "layer": neuron // neurons,
                    "neuron": neuron % neurons,
                    "score": float(score[neuron]),
                    "rises": rise,
                    "promotes": words[neuron, rise],
                }
            )
    return pd.DataFrame(rows)


def _words(
    model: Loaded, adapter: Adapter, chosen: Collection[tuple[int, bool]], neurons: int
) -> dict[tuple[int, bool], str]:
    """What each value promotes where its coefficient rises, and where it falls."""
    words = {}
    for layer in range(adapter.layers):
        mine = sorted(one for one in chosen if one[0] // neurons == layer)
        if mine:
            signs = torch.tensor([1.0 if rise else -1.0 for _, rise in mine])
            values = key_values(adapter, layer).values[[n % neurons for n, _ in mine]]
            scores = promotes(adapter, values * signs.to(values)[:, None])
            for one, best in zip(mine, scores.topk(WORDS).indices.tolist(), strict=True):
                words[one] = " · ".join(model.tokenizer.decode([t]).strip() for t in best)
    return words
