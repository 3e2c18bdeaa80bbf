"""Rank-one edits of planted facts: the store takes them, others keep theirs, and of the other
direction only what has the same store moves."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.memories import NATS, at_sites, in_float64, pairs_of
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import Planted
from interp_rc.models.planted.plant import contrasts
from interp_rc.models.scoring import score
from interp_rc.records.nouns import ORDERS, Contrast, Order
from interp_rc.tools.editing.keys import second_moments
from interp_rc.tools.editing.rank_one import edited
from interp_rc.tools.editing.requests import Request
from interp_rc.tools.editing.rome import invertible, rome
from interp_rc.tools.editing.values import Search

WRITTEN, ASKED = (0, 2), (1, 3)  # of the four templates
SEARCH = Search(kl=0.0)  # planted models have no neutral words

Prompts = Mapping[Order, list[list[Contrast]]]
"""By order and fact, in each template."""


def edits(one: Planted, order: Order) -> Finding | None:
    """Fact after fact gets the answer of the next one, in the store's layer.

    The planted place: where the source is asked in other templates, the new answer is the likeliest
    of all; and where both orders have one store, the fact's old answer, asked about, brings the
    next fact's entity too, for whichever entity is named, the same neuron is written to.
    Null: all other facts, in both orders; among them the new answer asked about, which brings what
    it brought before (a store that is read from both sides maps entities to facts: to write A -> B'
    into it makes B lead to the A that B' leads to, and leaves B' as it was); and the old answer
    asked about, where it has another store or none.
    """
    if order not in one.neurons:
        return None
    model, layer = in_float64(one), one.store[order].place.layer
    prompts: Prompts = {o: _by_fact(contrasts(pairs_of(one), o)) for o in ORDERS}
    facts = range(len(prompts[order]))
    texts = [c.clean for some in prompts.values() for of_fact in some for c in of_fact]
    moments = invertible(second_moments(model, texts, [layer])[layer])
    requests = [_request(prompts[order], fact) for fact in facts]
    written = rome(model, requests, layer, moments, search=SEARCH)
    answered = {o: [some[0].target for some in prompts[o]] for o in ORDERS}
    before = {o: _answers(model, prompts[o], answered[o]) for o in ORDERS}
    other = next(o for o in ORDERS if o != order)
    effects: dict[str, list[float]] = {"told": [], "others": []}
    effects |= {"old_answer": [], "new_answer": [], "others_back": []}
    first = []
    for fact, edit in zip(facts, written, strict=True):
        new = (fact + 1) % len(facts)
        with edited(model, [edit]):
            after = {o: _answers(model, prompts[o], answered[o]) for o in ORDERS}
        change = {o: after[o] - before[o] for o in ORDERS}
        first.append(int(after[order][fact].argmax()) == new)
        effects["told"].append(change[order][fact, new])
        rest = [n for n in facts if n != fact]
        effects["others"].append(_largest(change[order][rest, rest]))
        effects["new_answer"].append(change[other][new, fact])
        if one.kind == "two_way":
            first.append(int(after[other][fact].argmax()) == new)
            effects["old_answer"].append(change[other][fact, new])
        else:
            effects["old_answer"].append(_largest(change[other][fact]))
        apart = [n for n in facts if n not in (fact, new)]
        effects["others_back"].append(_largest(change[other][apart, apart]))
    arrays = {name: np.array(values) for name, values in effects.items()}
    null = set(effects) - {"told"} - ({"old_answer"} if one.kind == "two_way" else set())
    largest = [float(value) for name in null for value in arrays[name]]
    return finding(all(first), at_sites(arrays, NATS), null, largest)


def _largest(values: np.ndarray) -> float:
    return float(values[np.abs(values).argmax()])


def _by_fact(some: Sequence[Contrast]) -> list[list[Contrast]]:
    facts = sorted({int(one.fact) for one in some})
    return [[one for one in some if int(one.fact) == fact] for fact in facts]


def _request(prompts: Sequence[Sequence[Contrast]], fact: int) -> Request:
    some = [prompts[fact][number] for number in WRITTEN]
    new = prompts[(fact + 1) % len(prompts)][0].target
    return Request(
        str(fact),
        tuple(one.clean for one in some),
        tuple(one.spans["source"][0] for one in some),
        (new,) * len(some),
    )


def _answers(
    model: Loaded, prompts: Sequence[Sequence[Contrast]], answers: Sequence[str]
) -> np.ndarray:
    """Mean log-probability of every answer (columns) after every fact's prompts (rows) [nat]."""
    asked = [some[number].clean for some in prompts for number in ASKED]
    found = score(
        model.model,
        model.tokenizer,
        [prompt for prompt in asked for _ in answers],
        list(answers) * len(asked),
    )
    return found.log_prob.numpy().reshape(len(prompts), len(ASKED), len(answers)).mean(1)
