"""Do probes find where a planted answer is written, and nothing before?"""

import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis.planted_tools.finding import Finding, finding
from interp_rc.measures.bilinear.read import Sides, choose, mutual
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import FACTS, Planted
from interp_rc.models.planted.weights import exact
from interp_rc.records.nouns import ORDERS, Contrast, Group, Order, Query
from interp_rc.records.numbers import Test
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.tools.patching.discoveries import TIE
from interp_rc.tools.probing.probe_fit import Scores, fit
from interp_rc.tools.probing.streams import POSITIONS, Streams, entity_vectors, read_streams

GROUPS: list[Group] = ["both"] * FACTS
ROUNDING = 1e-9
Leads = Float[np.ndarray, "position layer fact"]
IDS = [str(fact) for fact in range(FACTS)]


def linear_probe(one: Planted, order: Order) -> Finding | None:
    """The answer is written along its output row by the head that carries it (for a store in
    attention, by the store): from that layer on, at the prompt's last token, and at the entity,
    which attends to itself. The pairing is random, so that no map of other facts' streams tells a
    new fact's answer before; what a probe finds it must owe to the lens that it starts from.
    """
    last = [one.store[order], *one.carriers[order]][-1].place.layer
    streams, vectors = read(one, order)
    found = np.empty((len(POSITIONS), streams.shape[2], FACTS))
    for place, layer in np.ndindex(found.shape[:2]):
        reading = fit(streams[:, place, layer], vectors, GROUPS, np.arange(FACTS), seed=0)
        found[place, layer] = leads(reading.probe)
    return judged(found, first=last + 1)


def mutual_probe(one: Planted, order: Order) -> Finding | None:
    """Where both entities are answered with one direction (`two_way`), their streams know of each
    other from the look-up's layer on: at the entities, and, once it is carried, at the end. Of
    other kinds nothing is to be found, and both orders are one question.
    """
    if one.kind != "two_way" or order != "forward":
        return None
    at_entity = one.store[order].place.layer + 1
    at_end = one.carriers[order][0].place.layer + 1
    return judged(mutual_leads(one), first=at_entity, at_end=at_end)


def mutual_leads(one: Planted) -> Leads:
    (a, b_vectors), (b, a_vectors) = (read(one, order) for order in ORDERS)
    found = np.empty((len(POSITIONS), a.shape[2], FACTS))
    for place, layer in np.ndindex(found.shape[:2]):
        sides = Sides(a[:, place, layer], b[:, place, layer], a_vectors, b_vectors)
        reading = mutual(sides, GROUPS, seed=0)
        strength = choose([reading]).strength[0]
        found[place, layer] = leads(reading.probe[strength, np.arange(FACTS)])
    return found


def leads(scores: Scores) -> Float[np.ndarray, " fact"]:
    """Of each fact's own entity over the mean of the others. Not z: a planted stream is so free of
    noise that the others' scores differ by rounding alone."""
    others = (scores.sum(1) - np.diagonal(scores)) / (len(scores) - 1)
    lead: Float[np.ndarray, " fact"] = np.diagonal(scores) - others
    return lead


def judged(found: Leads, *, first: int, at_end: int | None = None) -> Finding:
    """`first` layer at which it can be found, and that at the prompt's end if it is another.

    Sign tests over facts, whose leads may all be the same, beyond a billionth of the largest lead;
    Benjamini-Hochberg over layers and places. Of places within 1 % of the largest mean lead, the
    earliest is meant.
    """
    begins = {"source_last": first, "prompt_last": first if at_end is None else at_end}
    means = found.mean(2)
    floor = ROUNDING * float(means.max())
    tests, null, at_null = [], set(), []
    for place, position in enumerate(POSITIONS):
        for layer in range(found.shape[1]):
            name = f"{position}.{layer}"
            tests.append(above(found[place, layer], floor, name))
            if layer < begins[position]:
                null.add(name)
                at_null.append(float(means[place, layer]))
    earliest = int(np.flatnonzero((means >= means.max() * (1 - TIE)).any(0))[0])
    return finding(earliest == first, benjamini_hochberg(tests), null, at_null)


def above(values: Float[np.ndarray, " fact"], floor: float, name: str) -> Test:
    hits = int((values > floor).sum())
    p = float(stats.binomtest(hits, len(values), alternative="greater").pvalue)
    return Test(name, "sign test, greater", hits, p, None, None, floor, len(values))


def read(one: Planted, order: Order) -> tuple[Streams, np.ndarray]:
    """Streams in every template, and the output vectors of the answers, fact by fact."""
    loaded = Loaded(exact(one.loaded.model), one.loaded.tokenizer)
    queries = [query(contrast) for contrast in one.contrasts[order]]
    answers = {q.fact: q.target.strip() for q in queries}
    vectors = entity_vectors(loaded, [answers[fact] for fact in IDS])
    return read_streams(loaded, queries, IDS), vectors


def query(contrast: Contrast) -> Query:
    """The clean prompt and its answer."""
    assert contrast.order is not None
    entity = "subject" if contrast.order == "forward" else "object"
    return Query(
        id=contrast.id, fact=contrast.fact, group="both", order=contrast.order, direction=None,
        template="", seen="training", prompt=contrast.clean, target=contrast.target, candidates=[],
        spans={entity: contrast.spans["source"][:1]},
    )  # fmt: skip
