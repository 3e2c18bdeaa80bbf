"""Read and replace activations of a Hugging Face model, on its own modules."""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapters import gpt2, gpt_neox, llama
from interp_rc.models.adapters.parts import STREAM, Block, Parts, Place
from interp_rc.models.soft_prompt import SoftPrompted
from interp_rc.records.errors import ModelError

FAMILIES = {
    "gpt2": gpt2.parts,
    "gpt_neox": gpt_neox.parts,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), llama.parts),
}

Activations = dict[Place, Float[Tensor, "batch pos width"]]


@dataclass(frozen=True, slots=True)
class Edit:
    """New values at some positions of some rows of a batch, at one place."""

    rows: Int[Tensor, " edit"]
    positions: Int[Tensor, " edit"]
    values: Float[Tensor, "edit width"]


@dataclass(slots=True)
class _Now:
    """What the forward pass in progress reads and replaces."""

    capture: Collection[Place] = ()
    edits: Mapping[Place, Edit] = field(default_factory=dict)
    found: Activations = field(default_factory=dict)


class Adapter:
    """Access to `resid_pre`, `attn_out`, `resid_mid`, `mlp_out` and `resid_post` of every layer.

    Attention and MLP outputs are what is added to the residual stream. When it is made, it proves
    itself on a random text: the stream is the sum of its parts from layer to layer, its end gives
    the model's own logits, and a change at each place changes them. Raises ModelError where that
    fails, if the family is not known, or if a soft prompt stands before every text.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        if isinstance(model, SoftPrompted):
            raise ModelError(
                "this model reads every text after a soft prompt, whose positions no tool counts; "
                "look inside its base, or inside a model that was finetuned"
            )
        family = getattr(model.config, "model_type", None)
        if family not in FAMILIES:
            raise ModelError(
                f"no adapter knows models of type {family!r}; known: {', '.join(sorted(FAMILIES))}"
            )
        self.model = model
        self.parts: Parts = FAMILIES[family](model)
        self._thread = threading.local()
        self._hooked = 0
        prove(self)

    @property
    def layers(self) -> int:
        return len(self.parts.blocks)

    @property
    def places(self) -> list[Place]:
        """Every place, in the order of computation."""
        return [
            Place(component, layer)
            for layer, block in enumerate(self.parts.blocks)
            for component in STREAM
            if component != "resid_mid" or block.before_mlp is not None
        ]

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """`run` works inside; the model's modules are as before afterwards."""
        handles = [h for i, block in enumerate(self.parts.blocks) for h in self._hook(i, block)]
        self._hooked += 1
        try:
            yield
        finally:
            self._hooked -= 1
            for handle in handles:
                handle.remove()

    def run(
        self,
        ids: Int[Tensor, "batch pos"],
        mask: Int[Tensor, "batch pos"] | None = None,
        *,
        capture: Collection[Place] = (),
        edits: Mapping[Place, Edit] | None = None,
    ) -> tuple[Float[Tensor, "batch pos vocabulary"], Activations]:
        """Logits, and the activations at the places of `capture` after the `edits`.

        Several threads may run at once. Raises ModelError outside `hooked`, and for places that
        the model does not have: nothing would be read or replaced there.
        """
        unknown = {*capture, *(edits or {})}.difference(self.places)
        if unknown:
            raise ModelError(f"this model has no {_name(min(unknown))}; name one of its places")
        if self._hooked != 1:
            raise ModelError("activations are read and replaced inside one `with adapter.hooked()`")
        now = self._thread.now = _Now(capture, edits or {})
        try:
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        finally:
            self._thread.now = None
        return logits, now.found

    def _hook(self, layer: int, block: Block) -> list[torch.utils.hooks.RemovableHandle]:
        stream: dict[int, Tensor] = {}  # by thread: what the layer was given

        def at_input(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> Any:
            given = args[0] if args else kwargs["hidden_states"]
            value = self._at(Place("resid_pre", layer), given)
            stream[threading.get_ident()] = value
            if args:
                return (value, *args[1:]), kwargs
            return args, kwargs | {"hidden_states": value}

        def at_attention(_: nn.Module, __: Any, out: Any) -> Any:
            value = self._at(Place("attn_out", layer), _first(out))
            edit = self._edit(Place("resid_mid", layer))
            if edit is not None:  # the stream then reads as asked for, in MLP and skip alike
                before = stream[threading.get_ident()][edit.rows, edit.positions]
                value = value.clone()
                value[edit.rows, edit.positions] = edit.values.to(value) - before
            return _with_first(out, value)

        def before_mlp(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._keep(Place("resid_mid", layer), args[0])

        def at_mlp(_: nn.Module, __: Any, out: Any) -> Any:
            return _with_first(out, self._at(Place("mlp_out", layer), _first(out)))

        def at_output(_: nn.Module, __: Any, out: Any) -> Any:
            return _with_first(out, self._at(Place("resid_post", layer), _first(out)))

        handles = [
            block.whole.register_forward_pre_hook(at_input, with_kwargs=True),
            block.attention.register_forward_hook(at_attention),
            block.mlp.register_forward_hook(at_mlp),
            block.whole.register_forward_hook(at_output),
        ]
        if block.before_mlp is not None:
            handles.append(block.before_mlp.register_forward_pre_hook(before_mlp))
        return handles

    def _at(self, place: Place, value: Tensor) -> Tensor:
        """The value with its edit, kept if that is asked for."""
        edit = self._edit(place)
        if edit is not None:
            value = value.clone()
            value[edit.rows, edit.positions] = edit.values.to(value)
        self._keep(place, value)
        return value

    def _edit(self, place: Place) -> Edit | None:
        now: _Now | None = getattr(self._thread, "now", None)
        return None if now is None else now.edits.get(place)

    def _keep(self, place: Place, value: Tensor) -> None:
        now: _Now | None = getattr(self._thread, "now", None)
        if now is not None and place in now.capture:
            now.found[place] = value


def _first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple) else out


def _with_first(out: Any, value: Tensor) -> Any:
    return (value, *out[1:]) if isinstance(out, tuple) else value


PROOF_TOKENS = 5


@torch.no_grad()
def prove(adapter: Adapter) -> None:
    """Raise ModelError unless the adapter's places are what their names say."""
    parts, places = adapter.parts, adapter.places
    device = next(adapter.model.parameters()).device
    draw = torch.Generator().manual_seed(0)
    vocabulary = adapter.model.config.vocab_size
    ids = torch.randint(vocabulary, (1, PROOF_TOKENS), generator=draw).to(device)
    own = adapter.model(input_ids=ids, use_cache=False).logits
    with adapter.hooked():
        logits, at = adapter.run(ids, capture=places)
        missing = [place for place in places if place not in at]
        if missing:
            raise _unproven(adapter, f"{_name(missing[0])} is never computed")
        for layer in range(adapter.layers):
            _prove_sum(adapter, at, layer)
        through = parts.head(parts.final_norm(at[Place("resid_post", adapter.layers - 1)]))
        if not _alike(through, own) or not _alike(logits, own):
            raise _unproven(adapter, "the stream's end does not give the model's logits")
        # One row a place, each changed at its own place only.
        rows = ids.expand(len(places), -1)
        edits = {}
        for row, place in enumerate(places):
            value = at[place][0, -1]
            noise = torch.randn(value.shape, generator=draw).to(value)
            new = value + 3 * noise * value.abs().mean().clamp(min=1.0)
            edits[place] = Edit(torch.tensor([row]), torch.tensor([PROOF_TOKENS - 1]), new[None])
        changed, _ = adapter.run(rows, edits=edits)
    for row, place in enumerate(places):
        if _alike(changed[row, -1], own[0, -1]):
            raise _unproven(adapter, f"changing {_name(place)} changes no logit")
        if not _alike(changed[row, :-1], own[0, :-1]):
            raise _unproven(adapter, f"changing {_name(place)} changes earlier positions")


def _prove_sum(adapter: Adapter, at: Activations, layer: int) -> None:
    pre, attention, mlp, post = (
        at[Place(component, layer)]
        for component in ("resid_pre", "attn_out", "mlp_out", "resid_post")
    )
    if not _alike(pre + attention + mlp, post):
        raise _unproven(adapter, f"layer {layer} is not its input, attention and MLP summed")
    middle = at.get(Place("resid_mid", layer))
    if middle is not None and not _alike(pre + attention, middle):
        raise _unproven(
            adapter, f"resid_mid of layer {layer} is not its input and attention summed"
        )
    following = at.get(Place("resid_pre", layer + 1))
    if following is not None and not torch.equal(post, following):
        raise _unproven(adapter, f"layer {layer + 1} does not read what layer {layer} gives")


def _alike(first: Tensor, second: Tensor) -> bool:
    """Equal up to the rounding of the data type, on the scale of the values."""
    scale = second.abs().max().clamp(min=1e-30)
    tolerance = min(200 * torch.finfo(second.dtype).eps, 0.05)
    return bool(((first - second).abs().max() / scale) <= tolerance)


def _name(place: Place) -> str:
    return f"{place.component} of layer {place.layer}"


def _unproven(adapter: Adapter, what: str) -> ModelError:
    return ModelError(
        f"the adapter for {adapter.model.config.model_type} does not fit this model: {what}; "
        "use a model of another family, or the Transformers version of requirements.lock"
    )
