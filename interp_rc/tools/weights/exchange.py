"""A model in which some weights are another model's, for a while."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.causality import prove_causal
from interp_rc.models.load import Loaded
from interp_rc.models.lora import has_lora
from interp_rc.records.errors import ModelError
from interp_rc.tools.gradients.parameter_groups import untied
from interp_rc.tools.gradients.training_steps import restored
from interp_rc.tools.weights.sites import Piece, WeightSite, pieces_of

Weights = Mapping[str, Tensor]  # by the name of the parameter


@contextmanager
def exchanged(model: Loaded, other: Loaded, sites: Collection[WeightSite]) -> Iterator[None]:
    """Inside, `model` has the weights of `sites` from `other`; afterwards its own, bit for bit.

    Raises ModelError for models that differ in shape, names, precision or vocabulary.
    """
    check_alike(model, other)
    adapter = Adapter(model.model)
    pieces = [piece for site in sites for piece in pieces_of(adapter, site)]
    with rewritten(adapter, weights_of(other), pieces):
        yield


@contextmanager
def rewritten(adapter: Adapter, weights: Weights, pieces: Collection[Piece]) -> Iterator[None]:
    """Inside, these pieces of the model's parameters are those of `weights`."""
    with untied(adapter.parts):
        own = dict(adapter.model.named_parameters(remove_duplicate=False))
        grouped = _grouped(pieces)
        with restored(adapter.model, [own[name] for name in grouped]):
            with torch.no_grad():
                for name, place in grouped.items():
                    _write(own[name], weights[name], place)
            yield


def weights_of(loaded: Loaded) -> Weights:
    """Both names of a tied matrix are there."""
    named = loaded.model.named_parameters(remove_duplicate=False)
    return {name: weight.detach() for name, weight in named}


def check_alike(one: Loaded, other: Loaded) -> None:
    """Raises ModelError unless the two models differ in nothing but their weights."""
    for loaded in (one, other):
        if has_lora(loaded.model):
            raise ModelError(
                "a model with a LoRA adapter in it has no weights to exchange; switch the adapter "
                "on in some modules (`adapted`), or merge it into its model first"
            )
    mine, theirs = weights_of(one), weights_of(other)
    lonely = sorted(mine.keys() ^ theirs.keys())
    if lonely:
        where = "first" if lonely[0] in mine else "second"
        raise ModelError(
            f"weights are exchanged between models of one architecture; only the {where} has "
            f"{lonely[0]} ({len(lonely)} such in all)"
        )
    for name, weight in mine.items():
        found = [f"{list(w.shape)} {w.dtype}".replace("torch.", "") for w in (weight, theirs[name])]
        if found[0] != found[1]:
            raise ModelError(
                f"weights are exchanged between models of one shape and precision; {name} is "
                f"{found[0]} in one and {found[1]} in the other"
            )
        if weight.is_meta or theirs[name].is_meta:
            raise ModelError(f"{name} is not in memory; load the model on one device")
    if _is_tied(one) != _is_tied(other):
        raise ModelError("output rows are tied to the embedding in only one of the two models")
    if one.tokenizer.get_vocab() != other.tokenizer.get_vocab():
        raise ModelError(
            "the two models read other tokens; exchange weights between a model and what it was "
            "finetuned from"
        )
    for loaded in (one, other):
        prove_causal(loaded.model)


def _is_tied(loaded: Loaded) -> bool:
    return loaded.model.get_input_embeddings().weight is loaded.model.get_output_embeddings().weight


class _Place(NamedTuple):
    """Indices in a dimension; everything where there is none."""

    dim: int | None
    indices: list[int]


def _grouped(pieces: Collection[Piece]) -> dict[str, _Place]:
    """By parameter, so that each is written once; what is asked for whole is written whole."""
    found: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        found[piece.parameter].append(piece)
    return {
        name: _Place(None, [])
        if any(piece.dim is None for piece in some)
        else _Place(some[0].dim, sorted({int(piece.at or 0) for piece in some}))
        for name, some in found.items()
    }


def _write(own: nn.Parameter, theirs: Tensor, place: _Place) -> None:
    if place.dim is None:
        own.copy_(theirs)
        return
    at = torch.tensor(place.indices, device=own.device)
    some = theirs.index_select(place.dim, at.to(theirs.device)).to(own)
    own.index_copy_(place.dim, at, some)
