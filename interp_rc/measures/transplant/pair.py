"""A base and a finetuned model, between which weights are moved: two whole models, or one and its
LoRA adapter, which is not merged."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.causality import prove_causal
from interp_rc.models.load import Loaded
from interp_rc.models.lora import Switched, adapters_in, has_lora, switched_off
from interp_rc.records.errors import ModelError
from interp_rc.tools.readout.linear_parts import matrix_of
from interp_rc.tools.weights.exchange import check_alike, rewritten, weights_of
from interp_rc.tools.weights.sites import (
    OF_NEURONS,
    Piece,
    WeightSite,
    modules_of,
    pieces_of,
    units,
)

Act = Literal["given", "taken"]
OF_ADAPTERS = ("lora_", "modules_to_save.")  # in the names of their parameters
ACTS: tuple[Act, ...] = get_args(Act)


class Pair(Protocol):
    """`given`: the base model with the finetuned one's weights at some sites (are they enough?);
    `taken`: the finetuned model with the base's there (are they needed?)."""

    def adapter(self, act: Act) -> Adapter:
        """Of the model that is changed."""

    def moved(self, act: Act, sites: Collection[WeightSite]) -> AbstractContextManager[Adapter]:
        """Inside, the model that is changed is so; afterwards as before, bit for bit."""

    def square(self, site: WeightSite) -> float:
        """Squared norm of the difference between the two models at a site."""

    def size(self, site: WeightSite) -> int:
        """How many numbers the finetuned model has there: weights, or those of the adapter."""


def pair_of(base: Loaded | None, finetuned: Loaded) -> Pair:
    """A finetuned model with a LoRA adapter in it needs no base. Raises ModelError for models that
    weights cannot be moved between."""
    if has_lora(finetuned.model):
        return Adapted(finetuned)
    if base is None:
        raise ModelError("weights are moved between two models; give the base of the finetuned one")
    return Whole(base, finetuned)


@dataclass
class Whole:
    """Two models that differ in their weights alone."""

    base: Loaded
    finetuned: Loaded
    _adapters: dict[Act, Adapter] = field(init=False)
    _pieces: dict[WeightSite, list[Piece]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        check_alike(self.base, self.finetuned)
        models = (self.base, self.finetuned)
        self._adapters = {a: Adapter(m.model) for a, m in zip(ACTS, models, strict=True)}

    def adapter(self, act: Act) -> Adapter:
        return self._adapters[act]

    @contextmanager
    def moved(self, act: Act, sites: Collection[WeightSite]) -> Iterator[Adapter]:
        giver = self.finetuned if act == "given" else self.base
        pieces = [piece for site in sites for piece in self.pieces(site)]
        with rewritten(self._adapters[act], weights_of(giver), pieces):
            yield self._adapters[act]

    def pieces(self, site: WeightSite) -> list[Piece]:
        if site not in self._pieces:
            self._pieces[site] = pieces_of(self._adapters["given"], site)
        return self._pieces[site]

    def square(self, site: WeightSite) -> float:
        found = 0.0
        ends = weights_of(self.base), weights_of(self.finetuned)
        for name, dim, at in self.pieces(site):
            one, other = (
                end[name] if dim is None else end[name].select(dim, int(at or 0)) for end in ends
            )
            found += float((other.cpu().double() - one.cpu().double()).square().sum())
        return found

    def size(self, site: WeightSite) -> int:
        weights = weights_of(self.base)
        return sum(
            weights[name].numel() // (1 if dim is None else weights[name].shape[dim])
            for name, dim, _ in self.pieces(site)
        )


@dataclass
class Adapted:
    """A model and its adapter, which is switched on in some modules and off in all others.

    Exact, also for DoRA, whose update is no sum: what is not switched on computes what the base
    does. The bias of a module is the base's own; neurons have no switch (ModelError).
    """

    model: Loaded
    _adapter: Adapter = field(init=False)

    def __post_init__(self) -> None:
        prove_causal(self.model.model)
        self._adapter = Adapter(self.model.model)

    def adapter(self, act: Act) -> Adapter:
        return self._adapter

    @contextmanager
    def moved(self, act: Act, sites: Collection[WeightSite]) -> Iterator[Adapter]:
        chosen = {id(switch) for site in sites for switch in self.switches(site)}
        off = [
            switch
            for switch in adapters_in(self.model.model)
            if (id(switch) in chosen) == (act == "taken")
        ]
        with switched_off(off):
            yield self._adapter

    def switches(self, site: WeightSite) -> list[Switched]:
        """PEFT's modules at a site."""
        if site.part in OF_NEURONS:
            raise ModelError(
                f"{site.name}: an adapter is switched on in whole modules, not in neurons; merge "
                "it into its model first"
            )
        every = adapters_in(self.model.model)
        if site.part != "norms":
            inside = set(modules_of(self._adapter, site))
            return [switch for switch in every if switch in inside]
        others = {id(s) for one in units(self._adapter)[:-1] for s in self.switches(one)}
        return [switch for switch in every if id(switch) not in others]

    @torch.no_grad()
    def square(self, site: WeightSite) -> float:
        """Of what the modules multiply with, the adapter on and off."""
        found = 0.0
        for switch in self.switches(site):
            on = _matrix(switch)
            with switched_off([switch]):
                found += float((on - _matrix(switch)).square().sum())
        return found

    def size(self, site: WeightSite) -> int:
        """PEFT's names say what is an adapter's own."""
        return sum(
            weight.numel()
            for switch in self.switches(site)
            for name, weight in switch.named_parameters()
            if any(own in name for own in OF_ADAPTERS)
        )


def _matrix(switch: nn.Module) -> Tensor:
    """What a module computes, as a matrix: of words, or of unit vectors."""
    within: nn.Module = switch.base_layer if isinstance(switch, LoraLayer) else switch
    rows = getattr(within, "num_embeddings", None)
    if rows is not None:
        device = next(switch.parameters()).device
        return switch(torch.arange(rows, device=device)).cpu().double()
    return matrix_of(switch).cpu().double()


def changed(pair: Pair, sites: Sequence[WeightSite]) -> list[WeightSite]:
    """Those that differ between the two models."""
    return [site for site in sites if pair.square(site) > 0]
