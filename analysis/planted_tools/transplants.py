"""Weight transplants on planted models: the planted weights carry the facts, and no others do.

The donor is the planted model, changed in every other part as well by what carries nothing: in
every MLP a neuron for each entity and in every attention a head that nobody wrote to, which look
things up and move them, into directions that nothing reads; rows of words before the entity, and
output rows, with noise in such directions. The base has none of that, and of the store lacks one
matrix: the values of its neurons or their keys, or what its head reads or writes. So all parts
differ, and one matrix carries all, by construction.

What nothing reads still makes the stream longer, and norms see that, by as much for every fact: it
changes how likely all answers are. So the truth is about facts: what is said of one more than after
another one's prompt, of which the decoys carry exactly nothing. Norms alone are as they were.

In a taught model (`training.confined`) one module was allowed to learn, and carries all.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.integrated_gradients import some_of
from analysis.planted_tools.memories import NATS, at_sites, by_fact
from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.neurons import rank_neurons
from interp_rc.measures.transplant.pair import Act, Whole, changed
from interp_rc.measures.transplant.sets import candidates
from interp_rc.measures.transplant.single import said, single_effects
from interp_rc.measures.transplant.smallest import forward_selection
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Block
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import HEADS, WIDTH, Planted
from interp_rc.models.planted.plant import FILLER_WORDS
from interp_rc.models.planted.weights import exact
from interp_rc.records.nouns import Contrast, Order
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.weights.sites import WeightSite, units

DECOY = 0.5  # what a decoy adds to the stream for each unit that it finds
HEAD = WIDTH // HEADS
HALF = 0.5
Rows = Float[Tensor, "row width"]


class Case(NamedTuple):
    """Base and donor, the unit and the one matrix of it that differ by the store, and what is
    asked."""

    pair: Whole
    unit: WeightSite
    matrix: WeightSite
    contrasts: list[Contrast]


def given(one: Planted, order: Order) -> Finding:
    """The planted place: the store's attention or MLP brings the facts into the base, more than
    half of what all weights bring (what norms make of it, decoys change). Null: all other parts."""
    return _alone(one, order, "given")


def taken(one: Planted, order: Order) -> Finding:
    """The planted place: without it more than half of the facts' gain is gone. None is null:
    without a decoy the donor's stream is shorter, and the norm makes what is left surer."""
    found = _alone(one, order, "taken")
    return found._replace(null_sites=0, false=0, largest_null=0.0)


def smallest(one: Planted, order: Order) -> Finding:
    """The planted place: the greedy set is the one matrix that the base lacks. Null: every other
    matrix alone, and what is outside the layers."""
    case = case_of(one, order)
    asking = Asking(case.pair.base, case.contrasts)
    sites = candidates(case.pair)
    found = forward_selection(case.pair, sites, asking, enough=HALF)
    table = single_effects(case.pair, sites, asking, ["given"])
    table = table[table.metric == "fact"]
    effects = {site: by_fact(part.effect, part.fact) for site, part in table.groupby("site")}
    return _judged(found.sites == [case.matrix], effects, case.matrix.name)


def neurons(one: Planted, order: Order) -> Finding | None:
    """The planted place: the store's neurons before all others, keys and values together; given
    alone, they bring more than half. Null: the first-order estimate of every other neuron, of the
    decoys too."""
    if order not in one.neurons:
        return None
    case = case_of(one, order)
    layer = one.store[order].place.layer
    ranked = rank_neurons(case.pair, "given", case.contrasts, "both")
    store = {layer * ranked.score.shape[1] + n for n in one.neurons[order]}
    top = ranked.first(len(store), "given")
    asking = Asking(case.pair.base, case.contrasts)
    begin, whole, few = (
        said(case.pair, "given", sites, asking).fact.mean()
        for sites in ((), units(case.pair.adapter("given")), ranked.sites(top, "both"))
    )
    first = set(top.tolist()) == store and bool(few - begin > HALF * (whole - begin) > 1)
    scores = ranked.score.flatten()
    others = {f"neuron_{n}" for n in range(len(scores)) if n not in store}
    largest = [float(scores[int(name.removeprefix("neuron_"))]) for name in sorted(others)]
    return Finding(first, len(store), len(others), sum(abs(x) > NATS for x in largest),
                   max(map(abs, largest)))  # fmt: skip


def _alone(one: Planted, order: Order, act: Act) -> Finding:
    case = case_of(one, order)
    sites = changed(case.pair, units(case.pair.adapter("given")))
    table = single_effects(case.pair, sites, Asking(case.pair.base, case.contrasts), [act])
    table = table[table.metric == "fact"]
    sign = 1 if act == "given" else -1
    effects = {site: by_fact(sign * part.effect, part.fact) for site, part in table.groupby("site")}
    best = max(effects, key=lambda name: effects[name].mean())
    enough = effects[best].mean() > HALF * table.whole.mean() > 1
    return _judged(bool(best == case.unit.name and enough), effects, case.unit.name)


def _judged(first: bool, effects: dict[str, np.ndarray], store: str) -> Finding:
    null = set(effects) - {store}
    tests = at_sites(effects, NATS)
    return finding(first, tests, null, [float(v) for name in null for v in effects[name]])


def case_of(one: Planted, order: Order) -> Case:
    """Base and donor from one planted model, in float64."""
    base, donor = (Loaded(exact(one.loaded.model), one.loaded.tokenizer) for _ in range(2))
    contrasts = some_of(one.contrasts[order])
    pairing = [contrast.target for contrast in contrasts]  # another one in every planting
    seed = derive_seed(0, "transplant", one.kind, order, *pairing)
    with torch.no_grad():
        disguise(donor, sorted({q.target.strip() for q in contrasts}), entities(one, order), seed)
        lacking = without_store(base, one, order, seed)
    place = one.store[order].place
    unit = WeightSite("mlp" if place.component == "mlp_out" else "attention", place.layer)
    return Case(Whole(base, donor), unit, lacking, contrasts)


def entities(one: Planted, order: Order) -> list[str]:
    """Words that the prompts are about."""
    spans = ((c.clean, c.spans["source"][0]) for c in one.contrasts[order])
    return sorted({text[span.start : span.end] for text, span in spans})


def disguise(donor: Loaded, answers: Sequence[str], words: Sequence[str], seed: int) -> None:
    """Changes every part of the model by what carries nothing of a fact.

    What is looked up goes into as many directions as there are entities, by the same pattern for
    each: it makes the streams of all facts longer by as much.
    """
    adapter, draw = Adapter(donor.model), torch.Generator().manual_seed(seed)
    unread = nothing_reads(adapter)
    assert len(unread) >= len(words) + 2
    rows = donor.model.get_input_embeddings().weight
    ids = donor.tokenizer.convert_tokens_to_ids(list(words))
    seen = rows[ids] / rows[ids].norm(dim=1, keepdim=True)
    for block in adapter.parts.blocks:
        _decoy_neurons(block, seen, unread[: len(words)], draw)
        _decoy_head(block, seen, unread[: len(words)])
    others = donor.tokenizer.convert_tokens_to_ids(list(FILLER_WORDS))
    rows[others] += _noise(len(others), draw) * unread[-1]
    said_of = donor.tokenizer.convert_tokens_to_ids(list(answers))
    head = donor.model.get_output_embeddings().weight
    head[said_of] += _noise(len(said_of), draw) * unread[-2]


def nothing_reads(adapter: Adapter) -> Rows:
    """Orthonormal directions that no weights read or write, and that norms do not take off."""
    used = [torch.ones(1, WIDTH, dtype=torch.float64)]
    used += [module.weight for module in adapter.parts.embeddings]
    used.append(adapter.parts.head.weight)  # type: ignore[arg-type]
    for block in adapter.parts.blocks:
        used += [reading(block), *(reads(m) for m in (block.up, block.gate) if m is not None)]
        used += [reads(block.project).T, reads(block.down).T]
    _, sizes, right = torch.linalg.svd(torch.cat(used))
    return right[int((sizes > 1e-9 * sizes[0]).sum()) :]


def reads(module: nn.Module) -> Rows:
    """A linear module's weight as a view, output x input."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    return weight.T if isinstance(module, Conv1D) else weight


def reading(block: Block) -> Rows:
    """What attention's queries, keys and values read: a row for each of their entries."""
    return torch.cat([reads(module) for module in _reading(block)])


def values_of(block: Block) -> Rows:
    """The rows of `reading` that make values, as a view."""
    return reads(_reading(block)[-1])[-WIDTH:]


def _reading(block: Block) -> list[nn.Module]:
    """Queries, keys and values, in one module or three."""
    linear = (m for m in block.attention.modules() if isinstance(m, (nn.Linear, Conv1D)))
    return [module for module in linear if module is not block.project]


def _noise(words: int, draw: torch.Generator) -> Rows:
    return torch.randn(words, 1, generator=draw, dtype=torch.float64)


def _decoy_neurons(block: Block, seen: Rows, into: Rows, draw: torch.Generator) -> None:
    """Neurons that nobody wrote to look the entities up."""
    assert block.up is not None
    free = (reads(block.up).abs().sum(1) == 0).nonzero()[:, 0]
    chosen = free[torch.randperm(len(free), generator=draw)[: len(seen)]]
    for module in (block.up, block.gate):
        if module is not None:
            reads(module)[chosen] = seen / math.sqrt(WIDTH)  # norms make the stream that long
    reads(block.down)[:, chosen] = DECOY * into.T


def _decoy_head(block: Block, seen: Rows, into: Rows) -> None:
    """The first head that nobody wrote to sees all tokens alike, and moves what entities bring."""
    out = reads(block.project)
    begin = next(n for n in range(0, WIDTH, HEAD) if not out[:, n : n + HEAD].any())
    values_of(block)[begin : begin + len(seen)] = seen / math.sqrt(WIDTH)
    out[:, begin : begin + len(seen)] = DECOY * into.T


def without_store(base: Loaded, one: Planted, order: Order, seed: int) -> WeightSite:
    """Takes one matrix's part of the store from the base, which one by chance, and says which."""
    adapter = Adapter(base.model)
    place = one.store[order].place
    block = adapter.parts.blocks[place.layer]
    written = bool(seed % 2)
    if place.component == "mlp_out":
        assert block.up is not None
        chosen = one.neurons[order]
        lacking = block.down if written else block.up
        part = reads(block.down)[:, chosen] if written else reads(block.up)[chosen]
        assert part.any()
        if written:
            reads(block.down)[:, chosen] = 0
        else:
            reads(block.up)[chosen] = 0
    else:
        lacking = block.project if written else _reading(block)[-1]
        (reads(block.project) if written else values_of(block)).zero_()
    names = {module: name for name, module in base.model.named_modules()}
    return WeightSite(layer=place.layer, module=names[lacking])
