"""Read and replace activations of a Hugging Face model, on its own modules."""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapters import bert, gemma2, gpt2, gpt_neox, llama
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import (
    STREAM,
    Activations,
    Block,
    Component,
    Edit,
    Parts,
    Place,
)
from interp_rc.models.adapters.proof import prove, prove_layerwise
from interp_rc.models.soft_prompt import SoftPrompted
from interp_rc.records.errors import ModelError

FAMILIES = {
    "gpt2": gpt2.parts,
    "gpt_neox": gpt_neox.parts,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), llama.parts),
    **dict.fromkeys(("gemma2", "gemma3_text"), gemma2.parts),
    **dict.fromkeys(("bert", "roberta"), bert.parts),
}


_PROVEN: WeakKeyDictionary[PreTrainedModel, object] = WeakKeyDictionary()


def _fingerprint(model: PreTrainedModel) -> object:
    """Changes if a model's modules, their hooks or its precision do: it is proven again then."""
    modules = tuple(
        (id(m), len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m))
        for m in model.modules()
    )
    family = FAMILIES[model.config.model_type]
    return family, model.dtype, model.device, model.config._attn_implementation, modules


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
        self.layerwise = Layerwise(model, self.parts)
        self._thread = threading.local()
        self._hooked = 0
        now = _fingerprint(model)
        if _PROVEN.get(model) != now:
            prove(self)
            prove_layerwise(model, self.layerwise)
            _PROVEN[model] = now

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
            if component != "resid_mid" or not block.parallel
        ]

    @property
    def components(self) -> list[Place]:
        """Every place that the sweep engine can change."""
        inside: tuple[Component, ...] = ("pattern", "z", "mlp_post")
        return self.places + [Place(c, layer) for layer in range(self.layers) for c in inside]

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
            raise ModelError(f"this model has no {min(unknown).name}; name one of its places")
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

        def at_attention(_: nn.Module, __: Any, value: Tensor) -> Tensor:
            value = self._at(Place("attn_out", layer), value)
            edit = self._edit(Place("resid_mid", layer))
            if edit is not None and block.mid_norm is None:
                # The stream then reads as asked for, in MLP and skip alike.
                before = stream[threading.get_ident()][edit.rows, edit.positions]
                value = value.clone()
                value[edit.rows, edit.positions] = edit.values.to(value) - before
            return value

        def at_mid_norm(_: nn.Module, __: Any, value: Tensor) -> Tensor:
            return self._at(Place("resid_mid", layer), value)

        def before_mlp(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._keep(Place("resid_mid", layer), args[0])

        def at_mlp(_: nn.Module, __: Any, value: Tensor) -> Tensor:
            return self._at(Place("mlp_out", layer), value)

        def at_output(_: nn.Module, __: Any, out: Any) -> Any:
            return _with_first(out, self._at(Place("resid_post", layer), _first(out)))

        handles = [
            block.whole.register_forward_pre_hook(at_input, with_kwargs=True),
            block.adds_attention.register_forward_hook(at_attention),
            block.adds_mlp.register_forward_hook(at_mlp),
            block.whole.register_forward_hook(at_output),
        ]
        if block.mid_norm is not None:
            handles.append(block.mid_norm.register_forward_hook(at_mid_norm))
        elif block.mlp_norm is not None and not block.parallel:
            handles.append(block.mlp_norm.register_forward_pre_hook(before_mlp))
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
