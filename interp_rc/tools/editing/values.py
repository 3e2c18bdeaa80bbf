"""The value an edit should write: what makes the new target likely, by gradient, of many edits at
once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.continuing import mid_of
from interp_rc.engine.metrics import log_probs_at
from interp_rc.engine.names import Metric
from interp_rc.engine.waves import Row, rise
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place, through
from interp_rc.models.batching import batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.tools.attribution.attribution import GradientBudget
from interp_rc.tools.editing.requests import Asking, Request, asking, neutral


@dataclass(frozen=True, slots=True)
class Search:
    """How values are sought. `rate` is Adam's, in root mean squares of what is written before;
    `bound` the longest change, in lengths of it; `kl` and `decay` weigh what keeps a change small
    (nats, and the squared length in squared lengths)."""

    steps: int = 40
    rate: float = 0.5
    bound: float = 8.0
    kl: float = 0.0625
    decay: float = 0.3


SEARCH = Search()


def changes_sought(
    model: Loaded,
    requests: Sequence[Request],
    layer: int,
    search: Search = SEARCH,
    memory: int | None = None,
) -> Float[Tensor, "request width"]:
    """What the layer's `down` should write more at the source's last token (Meng et al. 2022,
    arXiv:2202.05262, eq. 4), in float64.

    The argmin of the mean over a request's prompts of -log p(target | prompt), plus the divergence
    KL(before || edited) of the next token after "source is", plus weight decay. (The paper's runs
    the other way, KL(edited || before); close to the model before, where it should keep the edit,
    both are the same to second order.) Each request has a change of its own: none depends on the
    others of its batch. Layers below, and tokens before the source's last, are computed once; the
    steps take what stands behind.
    """
    runs = Adapter(model.model).by_layers
    prompts = asking(model, requests)
    plain = neutral(model, requests) if search.kl else []
    found: dict[int, Tensor] = {}
    with tqdm(total=len(requests), desc=f"values of layer {layer}", disable=None) as bar:
        for numbers in _batches(runs, prompts, plain, layer, len(requests), memory):
            with runs.opened():
                batch = Batch(runs, layer, numbers, prompts, plain, search)
                found |= zip(numbers, batch.sought().double().cpu(), strict=True)
            bar.update(len(numbers))
    return torch.stack([found[number] for number in range(len(requests))])


def _batches(
    runs: Layerwise,
    prompts: Sequence[Asking],
    plain: Sequence[Asking],
    layer: int,
    requests: int,
    memory: int | None,
) -> list[list[int]]:
    """As many requests as memory allows; those with prompts of like length together."""
    budget = GradientBudget(runs, memory, max(len(one.input.reads) for one in prompts))
    keep = _places(runs, layer)
    lengths, needs = [0] * requests, [0] * requests
    for one in (*prompts, *plain):
        length = len(one.input.ids)
        lengths[one.request] = max(lengths[one.request], length)
        needs[one.request] += budget.of_pair(length, keep, keep, 1)

    def fits(some: Sequence[int]) -> bool:
        return sum(needs[number] for number in some) <= budget.cached

    return batch_by_length(runs.model, lengths, fits)


def _places(runs: Layerwise, layer: int) -> list[Place]:
    mid = "attn_out" if runs.parts.blocks[layer].parallel else "resid_mid"
    return [Place("mlp_post", layer), Place(mid, layer)]


class _Side:
    """Prompts cached once, each continued from what its request changes."""

    def __init__(self, runs: Layerwise, layer: int, askings: Sequence[Asking], metric: Metric):
        self.runs, self.layer, self.askings, self.metric = runs, layer, askings, metric
        with torch.no_grad():
            self.cached: Cached = cache(runs, [a.input for a in askings], _places(runs, layer))
            if metric == "kl":
                read = self.cached.asked.read
                self.cached.asked.reference = log_probs_at(runs, self.cached.stream[-1][read])
            at = [torch.tensor(some, device=runs.home) for some in (range(len(askings)), self._at)]
            block = runs.parts.blocks[layer]
            keys = self.cached.values(Place("mlp_post", layer), at[0], at[1])
            self.written = block.down(keys.to(runs.devices[layer])).to(runs.home)
            self.mid = mid_of(runs, self.cached, layer, at[0], at[1])

    @property
    def _at(self) -> list[int]:
        return [one.at for one in self.askings]

    def __call__(self, added: Float[Tensor, "prompt width"]) -> Float[Tensor, " prompt"]:
        """The metric, with so much added to what `down` writes."""
        runs, block = self.runs, self.runs.parts.blocks[self.layer]
        whole = (self.written + added).to(runs.devices[self.layer])
        mlp = through(block.after_mlp, whole).to(runs.home)
        out = runs.after_mlp(self.layer, self.mid, mlp)
        rows = []
        for n, at in enumerate(self._at):
            first = min(at, self.cached.asked.first[n]) if runs.parts.causal else 0
            rows.append(Row(n, self.layer + 1, first, (at,), out[n : n + 1]))
        return rise(runs, self.cached, rows, self.metric)


class Batch:
    """The objective of some requests, and its descent."""

    def __init__(
        self,
        runs: Layerwise,
        layer: int,
        numbers: Sequence[int],
        prompts: Sequence[Asking],
        plain: Sequence[Asking],
        search: Search,
    ) -> None:
        self.search = search
        place = {number: n for n, number in enumerate(numbers)}
        mine, neutrals = (
            [replace(one, request=place[one.request]) for one in some if one.request in place]
            for some in (prompts, plain)
        )
        self.asked = _Side(runs, layer, mine, "log_prob")
        self.kept = _Side(runs, layer, neutrals, "kl") if search.kl else None
        self.of_asked = torch.tensor([one.request for one in mine], device=runs.home)
        self.of_kept = torch.tensor([one.request for one in neutrals], device=runs.home)
        self.counts = torch.bincount(self.of_asked).double()
        lengths = self.asked.written.double().norm(dim=1)
        self.length = self._mean(lengths)  # of what is written before

    def _mean(self, values: Float[Tensor, " prompt"]) -> Float[Tensor, " request"]:
        sums = values.new_zeros(len(self.counts)).index_add(0, self.of_asked, values)
        return sums / self.counts

    def objective(self, change: Float[Tensor, "request width"]) -> Float[Tensor, " request"]:
        """In nats."""
        loss = -self._mean(self.asked(change[self.of_asked]))
        if self.kept is not None:
            loss = loss + self.search.kl * self.kept(change[self.of_kept])
        return loss + self.search.decay * (change.double().norm(dim=1) / self.length) ** 2

    @torch.enable_grad()
    def sought(self) -> Float[Tensor, "request width"]:
        """By Adam, every step back inside the bound."""
        width = self.asked.written.shape[1]
        scale = (self.length / width**0.5)[:, None].to(self.asked.written)
        units = torch.zeros_like(self.asked.written[: len(self.counts)], requires_grad=True)
        adam = torch.optim.Adam([units], lr=self.search.rate)
        for _ in range(self.search.steps):
            total = self.objective(units * scale).sum()
            [units.grad] = torch.autograd.grad(total, [units])
            adam.step()
            with torch.no_grad():
                length = units.norm(dim=1, keepdim=True) / width**0.5
                units *= (self.search.bound / length.clamp(min=1e-12)).clamp(max=1)
        return (units * scale).detach()
