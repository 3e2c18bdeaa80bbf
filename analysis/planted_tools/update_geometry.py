"""Update readout on planted models: the planted weights are what is read out, and no others.

Finetuned is the planted model, base the same without its store. In both, whatever nobody wrote to
differs as well: keys of neurons that write nothing, and what heads that write nothing read. Of
that, nothing can be read out, anywhere on the path.
"""

import torch

from analysis.planted_tools.finding import Finding, finding
from analysis.planted_tools.integrated_gradients import some_of
from analysis.planted_tools.memories import NATS, at_sites, by_fact
from analysis.planted_tools.transplants import HEAD, reads, values_of, without_store
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import WIDTH, Planted
from interp_rc.models.planted.weights import exact
from interp_rc.records.nouns import Order
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.weights.update_readout import update_readouts

POINTS = 16


def find(one: Planted, order: Order) -> Finding:
    """The planted place: the store's attention or MLP binds more than any other part, and nine
    tenths of all. Null: every other part."""
    base, finetuned = (Loaded(exact(one.loaded.model), one.loaded.tokenizer) for _ in range(2))
    place = one.store[order].place
    seed = derive_seed(0, "update geometry", one.kind, order, *map(str, place))
    with torch.no_grad():
        without_store(base, one, order, seed)
        unused(finetuned, seed)
    asked = some_of(one.contrasts[order])
    targets = [contrast.target for contrast in asked]
    ends = [
        update_readouts(base, finetuned, prompts, targets, points=POINTS)
        for prompts in ([c.clean for c in asked], [c.corrupted for c in asked])
    ]
    bound = ends[0].path - ends[1].path
    facts = [contrast.fact for contrast in asked]
    effects = {
        f"{group.name}_{group.layer}": by_fact(column.tolist(), facts)
        for group, column in zip(ends[0].groups, bound.T, strict=True)
    }
    store = f"{'mlp' if place.component == 'mlp_out' else 'attention'}_{place.layer}"
    best = max(effects, key=lambda name: effects[name].mean())
    whole = sum(values.mean() for values in effects.values())
    first = best == store and effects[store].mean() > 0.9 * whole > 1
    null = set(effects) - {store}
    return finding(
        bool(first), at_sites(effects, NATS), null, [float(v) for n in null for v in effects[n]]
    )


def unused(model: Loaded, seed: int) -> None:
    """Changes, in every attention and MLP, weights whose outputs go nowhere."""
    draw = torch.Generator().manual_seed(seed)
    for block in Adapter(model.model).parts.blocks:
        mute = ~reads(block.down).any(0)
        for module in (block.up, block.gate):
            if module is not None:
                rows = reads(module)
                rows[mute] = torch.randn(rows[mute].shape, generator=draw, dtype=rows.dtype)
        for begin in range(0, WIDTH, HEAD):
            own = slice(begin, begin + HEAD)
            if not reads(block.project)[:, own].any():
                values = values_of(block)
                values[own] = torch.randn(values[own].shape, generator=draw, dtype=values.dtype)
