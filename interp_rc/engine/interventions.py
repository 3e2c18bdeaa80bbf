"""Patches: sites, and what each puts there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.sites import Site
from interp_rc.engine.steps import Token
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.seeds import derive_seed

Means = Mapping[tuple[int, Place], Float[Tensor, " ..."]]  # by the number of the patch


class Patch(NamedTuple):
    """A site, and the value that it is given."""

    site: Site
    value: "Intervention | Hidden"


class Reached(Protocol):
    """What sites become when a sender reaches them (see `path_received`)."""

    def values(self, place: Place, sender: Site, token: Token) -> Float[Tensor, "token ..."]: ...


@dataclass(slots=True)
class Group:
    """Some contrasts' prompts, cached, all contrasts' ids, and the patches, by whose number the
    means over all contrasts are known. Runs say in their key which contrast and patch is theirs."""

    giving: Cached
    taking: Cached
    patches: Sequence[Patch] = ()
    ids: Sequence[str] = ()
    means: Means = field(default_factory=dict)
    reached: Reached | None = None

    def put(self, place: Place, token: Token) -> Float[Tensor, "token ..."]:
        """What the tokens' runs put at the place, each its own patch's value."""
        alike: dict[int, tuple[Intervention, list[int]]] = {}
        for n, run in enumerate(token.runs):
            value = self.patches[run.key[1]].value
            if not isinstance(value, Hidden):  # which puts nothing anywhere
                alike.setdefault(id(value), (value, []))[1].append(n)
        if len(alike) == 1:
            [(value, _)] = alike.values()
            return value.at(self, place, token)
        parts = [value.at(self, place, token.some(some)) for value, some in alike.values()]
        order = torch.tensor([n for _, some in alike.values() for n in some]).argsort()
        return torch.cat(parts)[order.to(parts[0].device)]

    def given(self, place: Place, token: Token) -> Tensor:
        """What the giving prompts have; patterns as wide as those of the taking ones."""
        return self.fitted(place, self.giving.values(place, token.base, token.read))

    def there(self, place: Place, token: Token) -> Tensor:
        """What the taking prompts have."""
        return self.taking.values(place, token.base, token.write)

    def fitted(self, place: Place, value: Tensor) -> Tensor:
        """Patterns over as many positions; those that are cut off or added are never seen."""
        if place.component != "pattern":
            return value
        return torch.nn.functional.pad(value, (0, self.taking.positions - value.shape[-1]))


class Intervention(Protocol):
    """A value for places."""

    def at(self, group: Group, place: Place, token: Token) -> Float[Tensor, "token ..."]:
        """The new values of the place at some tokens, whole."""


@dataclass(frozen=True)
class FromPrompt:
    """What the contrast's other prompt has there (interchange; Vig et al. 2020, Geiger et al.
    2021). With `basis` only what lies along its rows: along all of them, or, at a site with
    `direction=i`, along row i alone (a direction, or a feature of a dictionary)."""

    basis: Float[Tensor, "direction width"] | None = None

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        new = group.given(place, token)
        if self.basis is None:
            return new
        old = group.there(place, token)
        if self.basis.shape[1:] != old.shape[1:]:
            raise ConfigError(
                f"the basis has rows of width {self.basis.shape[-1]}, and {place.name} has "
                f"{list(old.shape[1:])}; give one that fits"
            )
        difference = (new - old).double()
        change = (difference @ self._span.T) @ self._span
        unit = self.basis.double() / self.basis.double().norm(dim=-1, keepdim=True)
        for n, run in enumerate(token.runs):
            row = group.patches[run.key[1]].site.direction
            if row is not None:
                change[n] = (difference[n] @ unit[row]) * unit[row]
        return old + change.to(old)

    @cached_property
    def _span(self) -> Float[Tensor, "direction width"]:
        """Orthonormal rows; those of the basis may repeat each other."""
        assert self.basis is not None
        _, sizes, span = torch.linalg.svd(self.basis.double(), full_matrices=False)
        rounding = max(self.basis.shape) * torch.finfo(self.basis.dtype).eps * sizes.max()
        return span[sizes > rounding]


@dataclass(frozen=True)
class FromModel:
    """What another model has there, with the same tokenizer and shape, reading the same prompt
    (the clean one): pretrained into finetuned, or the other way round. The clean run is the other
    model's, the corrupted one this model's."""

    model: Loaded

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        return group.given(place, token)


@dataclass(frozen=True)
class WithoutAdapters:
    """What the model has there without its LoRA adapters, which are not merged: `FromModel`, the
    other model being the base."""

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        return group.given(place, token)


@dataclass(frozen=True)
class Itself:
    """What is there anyway: all that it changes is rounding."""

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        return group.there(place, token)


@dataclass(frozen=True)
class Zero:
    """Nothing (zero ablation)."""

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        return torch.zeros_like(group.given(place, token))


@dataclass(frozen=True)
class Mean:
    """The mean over all contrasts of what the giving prompts have at the site (mean ablation)."""

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        means = [group.fitted(place, group.means[run.key[1], place]) for run in token.runs]
        return torch.stack(means).to(group.taking.stream[0])  # means are taken in float64


@dataclass(frozen=True)
class Fixed:
    """One vector everywhere, as wide as the component; with `add` added to what is there."""

    vector: Float[Tensor, " width"]
    add: bool = False

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        old = group.there(place, token)
        if self.vector.shape != old.shape[1:]:
            raise ConfigError(
                f"the vector has shape {list(self.vector.shape)}, and {place.name} "
                f"{list(old.shape[1:])}; give one that fits"
            )
        new = self.vector.to(old).expand_as(old)
        return old + new if self.add else new


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on top of what is there; `scale` is its standard deviation. What is drawn
    depends on seed, site and contrast, and on nothing else."""

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ConfigError(f"the noise's scale is {self.scale}; give a standard deviation")

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        old = group.there(place, token)
        drawn: dict[tuple[int, int], torch.Generator] = {}
        noise = torch.empty(old.shape, dtype=torch.float32)
        for n, run in enumerate(token.runs):
            contrast, site = group.ids[run.key[0]], group.patches[run.key[1]].site
            seed = derive_seed(self.seed, contrast, site.name)
            draw = drawn.setdefault(run.key, torch.Generator().manual_seed(seed))
            noise[n] = torch.randn(old.shape[1:], generator=draw)
        return old + self.scale * noise.to(old)


@dataclass(frozen=True)
class FromSender:
    """What the site becomes when the `sender` has what the other prompt has there, and this reaches
    the site straight along the residual stream, while all between the two stays (path patching)."""

    sender: Site

    def at(self, group: Group, place: Place, token: Token) -> Tensor:
        assert group.reached is not None
        return group.reached.values(place, self.sender, token)


@dataclass(frozen=True)
class Chosen:
    """Tokens that no span covers: their positions in each contrast's prompt, by its id."""

    name: str
    positions: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Hidden:
    """Attention knocked out: in the site's layers its tokens, or the `queries`, do not see the
    `keys`, which the table calls `name`."""

    name: str
    keys: Site | Chosen
    queries: Chosen | None = None
