"""Attribution patching: what patching would do at every site, to first order, from gradients."""

from collections.abc import Collection, Iterator, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached
from interp_rc.engine.cases import Batch, BothRuns, check, check_differ, read_cases
from interp_rc.engine.effect_table import effects_of, position_of, whole_difference
from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import FromPrompt, Group, Patch
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.metrics import measured
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.planning import check_patches, site_runs
from interp_rc.engine.run_patches import cached_batches
from interp_rc.engine.sites import Site, same_length
from interp_rc.engine.steps import ChangedRun, Token
from interp_rc.engine.store import Found, Swept
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise, See, Stream
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.adapters.ragged import whole_prompts
from interp_rc.models.batching import pad
from interp_rc.models.dimensions import heads_of, vocabulary_of
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.limits import MOST_REPEATS
from interp_rc.records.nouns import Contrast

EXCHANGE = FromPrompt()
Gradients = dict[Place, Float[Tensor, "token ..."]]


def attribute(
    model: Loaded,
    contrasts: Sequence[Contrast],
    sites: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    into: Into = "corrupted",
    steps: int = 1,
    memory: int | None = None,
) -> Effects:
    """Estimate what `patch` finds, at all sites of a contrast from one backward pass.

    A site's effect is estimated as the sum, over its tokens, of (giving - taking activation) times
    the metric's gradient in the taking run (attribution patching; Nanda 2023, Syed et al. 2023,
    arXiv:2310.10348). With `steps` > 1, gradients are averaged over as many runs, whose first layer
    reads taking + k/steps (giving - taking), k = 1 … steps (integrated gradients; Hanna et al.
    2024, arXiv:2403.17806): prompts must then be equally long. The table is as `patch`
    gives it; `value` is the taking run's metric plus the estimated effect.

    Raises what `patch` raises; ConfigError for the metric `rank`, which has no gradient, and for
    windows of layers and directions; DataError for prompts of unequal length with `steps` > 1.
    """
    check(contrasts, sites, metric, into)
    adapter = Adapter(model.model)
    _check(sites, metric, steps)
    patches = [Patch(site, EXCHANGE) for site in sites]
    check_patches(patches, adapter)
    cases = read_cases(model, model, contrasts, metric)
    check_differ(cases)
    if steps > 1:
        for case in cases:
            same_length(case.contrast, len(case.clean.ids), len(case.corrupted.ids))
    if metric == "logit_difference" and not all(case.is_one_token for case in cases):
        return whole_difference(
            contrasts,
            lambda some: attribute(model, some, sites, into=into, steps=steps, memory=memory),
        )
    runs, places = adapter.by_layers, {site.place for site in sites}
    both = BothRuns(
        cases=cases,
        clean=runs,
        corrupted=runs,
        given=places,
        kept=places,
        metric=metric,
        into=into,
        patches=len(patches),
        memory=memory,
    )
    reads = max(len(case.clean.reads) for case in cases)
    done = Swept({}, {})
    with torch.no_grad(), tqdm(total=len(cases), desc="attribution", disable=None) as bar:
        for batch in cached_batches(both, GradientBudget(runs, memory, reads)):
            of_case = dict(zip(batch.numbers, batch.known, strict=True))
            done.known.update(of_case)
            changed, zeros = site_runs(both, batch, patches)
            changes = [0.0] * len(zeros)
            if changed:
                gradients = _mean_gradients(both, batch, places, steps)
                changes += _changes(batch, changed, gradients, heads_of(model.model)).tolist()
            for number, (run, change) in enumerate(zip(zeros + changed, changes, strict=True)):
                value = of_case[run.key[0]][into == "corrupted"] + change
                zero = number < len(zeros)
                done.found[run.key] = Found(position_of(run), value, structural_zero=zero)
            bar.update(len(batch.numbers))
    return effects_of(cases, patches, metric, into, done)


def _check(sites: Sequence[Site], metric: Metric, steps: int) -> None:
    if metric == "rank":
        raise ConfigError("a rank has no gradient; choose another metric, or patch()")
    if not 1 <= steps <= MOST_REPEATS:
        raise ConfigError(f"{steps} steps; take 1 to {MOST_REPEATS:,}")
    for site in sites:
        if site.is_module:
            raise ConfigError(
                f"site {site.name}: attribution takes components; patch() takes modules "
                "by their names"
            )
        if site.window > 1 or site.direction is not None:
            raise ConfigError(
                f"site {site.name}: attribution takes components, heads and neurons of one layer; "
                "patch() takes windows and directions"
            )


class GradientBudget(Budget):
    """What fits into memory where a backward pass needs the activations of every layer.

    The factors are bounds on what the families' modules keep, by counting what autograd saves.
    """

    def __init__(self, layers: Layerwise, memory: int | None, reads: int) -> None:
        whole = default_memory(layers.home) if memory is None else memory
        super().__init__(layers, whole, at_once=1)
        self.cached = whole
        self.logits = reads * vocabulary_of(layers.model)

    def of_pair(
        self, positions: int, given: Collection[Place], kept: Collection[Place], sites: int
    ) -> int:
        return super().of_pair(positions, given, kept, sites) + self.of_graph(positions, kept)

    def of_graph(self, positions: int, places: Collection[Place]) -> int:
        """Bytes that one prompt's backward pass needs."""
        single = max(4, self.item)  # norms compute in float32 at least
        token = 8 * self.width + 5 * (self.query + self.key) + 5 * self.neurons
        layer = positions * (token + 4 * self.heads * positions)
        found = 3 * positions * sum(self._wide(place, positions) or self.width for place in places)
        return single * (self.layers * layer + 4 * self.logits) + self.item * found


def _mean_gradients(
    both: BothRuns, batch: Batch, places: Collection[Place], steps: int
) -> Gradients:
    """Of the sum of all prompts' metrics, and so of each, at the places of the taking runs."""
    giving, taking = batch.giving.stream[0], batch.taking.stream[0]
    ids = [both.cases[number].taking(both.into).ids for number in batch.numbers]
    padded, _ = pad(ids, taking.device)
    mean: Gradients = {}
    with both.taking.opened():
        for step in range(1, steps + 1):
            first = taking if steps == 1 else taking + step / steps * (giving - taking)
            found = gradients_at(both.by_layers, padded, batch.taking, first, places, both.metric)
            for place, gradient in found.items():
                mean[place] = mean[place] + gradient / steps if step > 1 else gradient / steps
    return mean


@torch.enable_grad()
def gradients_at(
    layers: Layerwise,
    ids: Tensor,
    taking: Cached,
    first: Float[Tensor, "prompt position width"],
    places: Collection[Place],
    metric: Metric,
) -> Gradients:
    """Of every prompt's metric, at the places, with `first` as what the first layer reads."""
    layout = whole_prompts(taking.lengths)
    begin: Stream = first[layout.row, layout.position].detach().requires_grad_()
    seen: dict[Place, Tensor] = {}

    def see(layer: int) -> See:
        def kept(component: Component, value: Tensor) -> Tensor:
            place = Place(component, layer)
            if place == Place("resid_pre", 0):
                value = begin
            if place in places:  # a view, because a pattern is used only if it is another tensor
                value = seen[place] = value.view_as(value)
            return value

        return kept

    patterned = any(place.component == "pattern" for place in places)
    last, _ = layers.whole(ids, taking.lengths, see, patterned=patterned)
    read = taking.asked.read[layout.row, layout.position]
    at = (layout.row[read], layout.position[read])
    values = measured(metric, layers, taking.asked, last[read], at, at[0], len(ids))
    found = torch.autograd.grad(values.sum(), list(seen.values()))
    return dict(zip(seen, found, strict=True))


def _changes(
    batch: Batch, changed: Sequence[ChangedRun], gradients: Gradients, heads: int
) -> Float[Tensor, " run"]:
    """Of the metric, to first order, in float64."""
    group = Group(batch.giving, batch.taking)
    found = torch.zeros(len(changed), dtype=torch.float64)
    for place, members in _by_place(changed):
        steps = [changed[number].steps[0] for number in members]
        counts = [len(step.writes) for step in steps]
        owner = torch.repeat_interleave(torch.tensor(members), torch.tensor(counts))
        units = [-1 if one.unit is None else one.unit for one in steps for _ in one.writes]
        tokens = [
            (changed[number].base, read, write)
            for number, step in zip(members, steps, strict=True)
            for read, write in zip(step.reads, step.writes, strict=True)
        ]
        # Heads, neurons and spans share tokens: each is multiplied once.
        distinct, which = torch.unique(torch.tensor(tokens), dim=0, return_inverse=True)
        products = _products(group, place, distinct, gradients[place], heads)
        found.index_add_(0, owner, products[which, torch.tensor(units)])
    return found


def _by_place(changed: Sequence[ChangedRun]) -> Iterator[tuple[Place, list[int]]]:
    groups: dict[Place, list[int]] = {}
    for number, run in enumerate(changed):
        groups.setdefault(run.steps[0].place, []).append(number)
    yield from groups.items()


def _products(
    group: Group, place: Place, tokens: Tensor, gradient: Tensor, heads: int
) -> Float[Tensor, "token unit"]:
    """Change times gradient, of each unit of the place and, last, of all of them."""
    base, read, write = tokens.to(gradient.device).unbind(1)
    token = Token([], base, read, write)
    change = EXCHANGE.at(group, place, token) - group.there(place, token)
    begins = whole_prompts(group.taking.lengths).begins
    product = change.double() * gradient[begins[base] + write].double()
    if place.component == "z":
        product = rearrange(product, "token (head width) -> token head width", head=heads)
    units = product.sum(-1) if product.ndim > 2 else product
    return torch.cat([units, units.sum(1, keepdim=True)], 1).cpu()
