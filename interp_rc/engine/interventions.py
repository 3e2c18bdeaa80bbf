"""What an activation is replaced with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.sites import Site
from interp_rc.engine.steps import Give, Token
from interp_rc.engine.waves import Unit
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.seeds import derive_seed

Means = Mapping[tuple[int, Place], Float[Tensor, " ..."]]  # by the number of the site


@dataclass(slots=True)
class Group:
    """Some contrasts' prompts, cached, all contrasts' ids, and the sites, by whose number the means
    over all contrasts are known. Patches say in their key which contrast and site is theirs."""

    giving: Cached
    taking: Cached
    means: Means
    ids: Sequence[str]
    sites: Sequence[Site]

    def given(self, place: Place, token: Token) -> Tensor:
        """What the giving prompts have; patterns as wide as those of the taking ones."""
        return self.fitted(place, self.giving.values(place, token.base, token.read))

    def fitted(self, place: Place, value: Tensor) -> Tensor:
        """Patterns over as many positions; those that are cut off or added are never seen."""
        if place.component != "pattern":
            return value
        return torch.nn.functional.pad(value, (0, self.taking.positions - value.shape[-1]))


class Intervention(Protocol):
    """Gives new values to places."""

    def gives(self, group: Group) -> Give: ...


@dataclass(frozen=True)
class FromPrompt:
    """What the contrast's other prompt has there (interchange; Vig et al. 2020, Geiger et al.
    2021). With `basis` only what lies along its rows: along all of them, or, at a site with
    `direction=i`, along row i alone (a direction, or a feature of a dictionary)."""

    basis: Float[Tensor, "direction width"] | None = None

    def gives(self, group: Group) -> Give:
        def give(place: Place, _: Unit, token: Token) -> Tensor:
            return group.given(place, token)

        return give if self.basis is None else _along(self.basis, give, group)


@dataclass(frozen=True)
class FromModel:
    """What another model has there, with the same tokenizer and shape, reading the same prompt
    (the clean one): pretrained into finetuned, or the other way round. The clean run is the other
    model's, the corrupted one this model's."""

    model: Loaded

    def gives(self, group: Group) -> Give:
        return FromPrompt().gives(group)


@dataclass(frozen=True)
class WithoutAdapters:
    """What the model has there without its LoRA adapters, which are not merged: `FromModel`, the
    other model being the base."""

    def gives(self, group: Group) -> Give:
        return FromPrompt().gives(group)


@dataclass(frozen=True)
class Itself:
    """What is there anyway: all that it changes is rounding."""

    def gives(self, group: Group) -> Give:
        return lambda place, _, token: group.taking.values(place, token.base, token.write)


@dataclass(frozen=True)
class Zero:
    """Nothing (zero ablation)."""

    def gives(self, group: Group) -> Give:
        return lambda place, _, token: torch.zeros_like(group.given(place, token))


@dataclass(frozen=True)
class Mean:
    """The mean over all contrasts of what the giving prompts have at the site (mean ablation)."""

    def gives(self, group: Group) -> Give:
        return lambda place, _, token: torch.stack(
            [group.fitted(place, group.means[p.key[1], place]) for p in token.patches]
        ).to(group.taking.stream[0])  # means are taken in float64


@dataclass(frozen=True)
class Fixed:
    """One vector everywhere, as wide as the component; with `add` added to what is there."""

    vector: Float[Tensor, " width"]
    add: bool = False

    def gives(self, group: Group) -> Give:
        def give(place: Place, _: Unit, token: Token) -> Tensor:
            old = group.taking.values(place, token.base, token.write)
            if self.vector.shape != old.shape[1:]:
                raise ConfigError(
                    f"the vector has shape {list(self.vector.shape)}, and {place.name} "
                    f"{list(old.shape[1:])}; give one that fits"
                )
            new = self.vector.to(old).expand_as(old)
            return old + new if self.add else new

        return give


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on top of what is there; `scale` is its standard deviation. What is drawn
    depends on seed, site and contrast, and on nothing else."""

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ConfigError(f"the noise's scale is {self.scale}; give a standard deviation")

    def gives(self, group: Group) -> Give:
        def give(place: Place, _: Unit, token: Token) -> Tensor:
            old = group.taking.values(place, token.base, token.write)
            drawn: dict[tuple[int, int], torch.Generator] = {}
            noise = torch.empty(old.shape, dtype=torch.float32)
            for n, patch in enumerate(token.patches):
                contrast, site = group.ids[patch.key[0]], group.sites[patch.key[1]]
                seed = derive_seed(self.seed, contrast, site.name)
                draw = drawn.setdefault(patch.key, torch.Generator().manual_seed(seed))
                noise[n] = torch.randn(old.shape[1:], generator=draw)
            return old + self.scale * noise.to(old)

        return give


def _along(basis: Float[Tensor, "direction width"], give: Give, group: Group) -> Give:
    """Exchange only what lies along one row of the basis, or in the span of all."""
    _, sizes, span = torch.linalg.svd(basis.double(), full_matrices=False)
    rounding = max(basis.shape) * torch.finfo(basis.dtype).eps * sizes.max()
    span = span[sizes > rounding]  # rows may repeat each other
    unit = basis.double() / basis.double().norm(dim=-1, keepdim=True)

    def along(place: Place, _: Unit, token: Token) -> Tensor:
        old = group.taking.values(place, token.base, token.write)
        if basis.shape[1:] != old.shape[1:]:
            raise ConfigError(
                f"the basis has rows of width {basis.shape[-1]}, and {place.name} has "
                f"{list(old.shape[1:])}; give one that fits"
            )
        difference = (give(place, None, token) - old).double()
        asked = [group.sites[patch.key[1]].direction for patch in token.patches]
        change = (difference @ span.T) @ span
        for n, row in enumerate(asked):
            if row is not None:
                change[n] = (difference[n] @ unit[row]) * unit[row]
        return old + change.to(old)

    return along
