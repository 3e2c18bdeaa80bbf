"""Changed runs as rows of waves: what each puts into the stream, and how many go up together."""

from collections.abc import Iterator, Sequence

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached
from interp_rc.engine.memory import Budget
from interp_rc.engine.names import Metric
from interp_rc.engine.steps import ChangedRun, Give, Step, Token, token_of
from interp_rc.engine.waves import Change, Row, Unit, blended, rise
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.dimensions import heads_of
from interp_rc.models.machine import spread


def continued(
    layers: Layerwise,
    taking: Cached,
    changed: Sequence[ChangedRun],
    give: Give,
    metric: Metric,
    budget: Budget,
    bar: tqdm,
) -> Iterator[tuple[ChangedRun, float]]:
    """Each run with the metric that it leads to."""

    def work(wave: Sequence[tuple[ChangedRun, Row]]) -> list[tuple[ChangedRun, float]]:
        with torch.no_grad():  # per thread
            rows = list({id(row): row for _, row in wave}.values())
            values = rise(layers, taking, rows, metric).tolist()
        bar.update(len(wave))
        of_row = dict(zip(map(id, rows), values, strict=True))
        return [(run, of_row[id(row)]) for run, row in wave]

    rows = _rows(layers, taking, changed, give)
    for done in spread(layers.model, work, _waves(rows, taking, budget)):
        yield from done


def _rows(
    layers: Layerwise, taking: Cached, changed: Sequence[ChangedRun], give: Give
) -> list[tuple[ChangedRun, Row]]:
    """Every run as a row; those of one place together."""
    groups: dict[tuple[Place, Unit], list[tuple[int, int]]] = {}
    for number, run in enumerate(changed):
        for n, step in enumerate(run.steps):
            groups.setdefault((step.place, step.unit), []).append((number, n))
    given: dict[tuple[int, int], Tensor] = {}
    for (place, unit), members in groups.items():
        steps = [changed[number].steps[n] for number, n in members]
        counts = [len(step.writes) for step in steps]
        token = token_of(taking, [changed[number] for number, _ in members], steps)
        values = give(place, token)
        given |= zip(members, torch.split(values, counts), strict=True)
        first = [n == 0 and _begins_behind(changed[number]) for number, n in members]
        if any(first):
            output_of = _output(layers, taking, place, unit, token, values)
            outputs = torch.split(output_of, counts)
            for member, output, behind in zip(members, outputs, first, strict=True):
                if behind:
                    given[member] = output
    return [
        (run, _row(layers, taking, run, [given[number, n] for n in range(len(run.steps))]))
        for number, run in enumerate(changed)
    ]


def _begins_behind(run: ChangedRun) -> bool:
    """Whether one step alone decides what its layer makes of the patched tokens."""
    lowest = run.steps[0].place.layer if run.steps else 0
    return (
        bool(run.steps)
        and not run.blocked
        and all(step.place.layer > lowest for step in run.steps[1:])
    )


def _output(
    layers: Layerwise, taking: Cached, place: Place, unit: Unit, token: Token, values: Tensor
) -> Float[Tensor, "token width"]:
    """What the layer gives at tokens whose component has new values (`resid_pre`: what it reads).

    No other token's value enters: attention has been computed before, or is what changed.
    """
    component, layer = place
    base, write = token.base, token.write
    if unit is not None:
        values = blended(
            taking.values(place, base, write), values, component, unit, heads_of(layers.model)
        )
    stream = taking.stream[layer][base, write]
    match component:
        case "pattern":
            z = _z(taking, layer, base, values)
            return layers.after_attention(layer, stream, layers.project(layer, z))
        case "z":
            return layers.after_attention(layer, stream, layers.project(layer, values))
        case "attn_out":
            return layers.after_attention(layer, stream, values)
        case "resid_mid":
            return layers.after_mid(layer, values)
        case "mlp_post" | "mlp_out":
            mlp = values if component == "mlp_out" else layers.down(layer, values)
            return layers.after_mlp(layer, mid_of(layers, taking, layer, base, write), mlp)
    return values


def _z(
    taking: Cached, layer: int, base: Tensor, pattern: Float[Tensor, "token head position"]
) -> Float[Tensor, "token heads"]:
    """What heads give where they look at the taking prompt in new patterns."""
    values = taking.heads[layer][1]
    values = values[base.to(values.device)].to(base.device)
    times = pattern.shape[1] // values.shape[2]
    values = repeat(values, "token key head width -> token key (head times) width", times=times)
    z = torch.einsum("thp,tphw->thw", pattern[..., : values.shape[1]], values)
    return rearrange(z, "token head width -> token (head width)")


def mid_of(
    layers: Layerwise, taking: Cached, layer: int, base: Tensor, write: Tensor
) -> Float[Tensor, "token width"]:
    if not layers.parts.blocks[layer].parallel:
        return taking.at[Place("resid_mid", layer)][base, write]
    attention = taking.at[Place("attn_out", layer)][base, write]
    return taking.stream[layer][base, write] + attention


def _row(layers: Layerwise, taking: Cached, run: ChangedRun, given: Sequence[Tensor]) -> Row:
    """From the first token that is changed or read.

    `given` are the values of the steps, but of a first one that decides its layer's output:
    this output."""
    touched = [t for step in run.steps for t in step.writes]
    touched += [t for queries, _ in run.blocked.values() for t in queries]
    first = min(*touched, taking.asked.first[run.base]) if layers.parts.causal else 0
    steps = list(zip(run.steps, given, strict=True))
    if _begins_behind(run):
        (step, values), *steps = steps
        enters = step.place.layer + (step.place.component != "resid_pre")
        return Row(run.base, enters, first, step.writes, values, _changes(steps))
    enters = min([step.place.layer for step in run.steps] + list(run.blocked))
    for n, (step, values) in enumerate(steps):
        if step.place == Place("resid_pre", enters):
            rest = _changes(steps[:n] + steps[n + 1 :])
            return Row(run.base, enters, first, step.writes, values, rest, run.blocked)
    none = taking.stream[0][0, :0]
    return Row(run.base, enters, first, (), none, _changes(steps), run.blocked)


def _changes(steps: Sequence[tuple[Step, Tensor]]) -> list[Change]:
    found = []
    for (place, _, writes, unit), values in steps:
        if place.component == "resid_pre":  # on the way up, it is what the layer below gives
            place = Place("resid_post", place.layer - 1)
        found.append(Change(place, writes, values, unit))
    return found


def _families(rows: Sequence[tuple[ChangedRun, Row]]) -> Iterator[list[tuple[ChangedRun, Row]]]:
    """Windows of layers that begin alike are computed once, up to where they part."""
    alike: dict[object, list[tuple[ChangedRun, Row]]] = {}
    for run, row in rows:
        several = len(run.steps) > 1 and not run.blocked
        key = (run.base, run.where, run.steps[0], row.first) if several else id(run)
        alike.setdefault(key, []).append((run, row))
    for some in alike.values():
        (longest, parent), *rest = sorted(some, key=lambda one: -len(one[0].steps))
        family = [(longest, parent)]
        for run, row in rest:
            last = run.steps[-1].place
            parts = last.layer + (last.component != "resid_pre")
            if run.steps == longest.steps:
                row = parent
            elif run.steps == longest.steps[: len(run.steps)] and parts > parent.layer:
                row = Row(row.base, parts, row.first, (), row.values[:0], parent=parent)
            family.append((run, row))
        yield family


def _waves(
    rows: Sequence[tuple[ChangedRun, Row]], taking: Cached, budget: Budget
) -> list[list[tuple[ChangedRun, Row]]]:
    """Rows of like length together; each wave within the budget."""
    lengths = taking.lengths.tolist()
    families = list(_families(rows))
    sizes = [lengths[family[0][1].base] - family[0][1].first for family in families]
    waves: list[list[tuple[ChangedRun, Row]]] = []
    tokens = memory = 0
    for number in sorted(range(len(families)), key=sizes.__getitem__):
        family = families[number]
        many = len({id(row) for _, row in family})
        more = many * sizes[number]
        needed = many * budget.of_row(sizes[number], taking.positions)
        if not waves or tokens + more > budget.tokens or memory + needed > budget.wave:
            waves.append([])
            tokens = memory = 0
        waves[-1] += family
        tokens, memory = tokens + more, memory + needed
    return waves
