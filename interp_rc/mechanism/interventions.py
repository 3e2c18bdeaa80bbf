"""What an activation is replaced with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.mechanism.cached import Cached
from interp_rc.mechanism.continuing import Give, Token
from interp_rc.mechanism.waves import Unit
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.seeds import derive_seed

Means = Mapping[tuple[int, Place], Float[Tensor, " ..."]]  # by the number of the site


@dataclass(slots=True)
class Group:
    """Some contrasts' prompts, cached, and what is known of the sites, by their number: means over
    all contrasts (by place), and the row of a basis."""

    giving: Cached
    taking: Cached
    means: Means
    directions: Sequence[int | None]


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
        def give(place: Place, unit: Unit, token: Token) -> Tensor:
            new = group.giving.values(place, token.base, token.read)
            if place.component == "pattern":
                return _fitted(new, group.taking.positions)
            return new

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
        return lambda place, _, token: torch.zeros_like(
            group.giving.values(place, token.base, token.read)
        )


@dataclass(frozen=True)
class Mean:
    """The mean over all contrasts of what the giving prompts have at the site (mean ablation)."""

    def gives(self, group: Group) -> Give:
        return lambda place, _, token: torch.stack(
            [group.means[patch.key[1], place] for patch in token.patches]
        )


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

    def gives(self, group: Group) -> Give:
        def give(place: Place, _: Unit, token: Token) -> Tensor:
            old = group.taking.values(place, token.base, token.write)
            drawn: dict[tuple[int, int], torch.Generator] = {}
            noise = torch.empty(old.shape, dtype=torch.float32)
            for n, patch in enumerate(token.patches):
                seed = derive_seed(self.seed, f"{patch.key}.{place.name}")
                draw = drawn.setdefault(patch.key, torch.Generator().manual_seed(seed))
                noise[n] = torch.randn(old.shape[1:], generator=draw)
            return old + self.scale * noise.to(old)

        return give


def _along(basis: Float[Tensor, "direction width"], give: Give, group: Group) -> Give:
    """Exchange only what lies along one row of the basis, or in the span of all."""
    span = torch.linalg.qr(basis.T.double()).Q.T
    unit = basis.double() / basis.double().norm(dim=-1, keepdim=True)

    def along(place: Place, _: Unit, token: Token) -> Tensor:
        old = group.taking.values(place, token.base, token.write)
        if basis.shape[1:] != old.shape[1:]:
            raise ConfigError(
                f"the basis has rows of width {basis.shape[-1]}, and {place.name} has "
                f"{list(old.shape[1:])}; give one that fits"
            )
        difference = (give(place, None, token) - old).double()
        asked = [group.directions[patch.key[1]] for patch in token.patches]
        change = (difference @ span.T) @ span
        for n, row in enumerate(asked):
            if row is not None:
                change[n] = (difference[n] @ unit[row]) * unit[row]
        return old + change.to(old)

    return along


def _fitted(pattern: Float[Tensor, "token head position"], positions: int) -> Tensor:
    """The pattern over as many positions; those that are cut off or added are never seen."""
    there = pattern.shape[-1]
    return torch.nn.functional.pad(pattern, (0, positions - there))
