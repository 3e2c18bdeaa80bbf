"""Read and replace activations of a Hugging Face model, on its own modules."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapters import bert, gemma2, gpt2, gpt_neox, llama, unknown
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
from interp_rc.models.adapters.proof import prove, prove_layerwise, unproven
from interp_rc.models.evaluating import evaluating
from interp_rc.models.soft_prompt import SoftPrompted
from interp_rc.records.errors import InterpError, ModelError

FAMILIES = {
    "gpt2": gpt2.parts,
    "gpt_neox": gpt_neox.parts,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), llama.parts),
    **dict.fromkeys(("gemma2", "gemma3_text"), gemma2.parts),
    **dict.fromkeys(("bert", "roberta"), bert.parts),
}


ENDS: tuple[Component, ...] = ("resid_pre", "resid_post")


def _family(model: PreTrainedModel) -> Callable[[PreTrainedModel], Parts]:
    return FAMILIES.get(model.config.model_type, unknown.parts)


_PROVEN: WeakKeyDictionary[PreTrainedModel, object] = WeakKeyDictionary()


def _fingerprint(model: PreTrainedModel) -> object:
    """Changes if a model's modules, their hooks or its precision do: it is proven again then."""
    modules = tuple(
        (id(m), len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m))
        for m in model.modules()
    )
    return _family(model), model.dtype, model.device, model.config._attn_implementation, modules


@dataclass(slots=True)
class _Now:
    """What the forward pass in progress reads and replaces."""

    shape: torch.Size
    capture: Collection[Place] = ()
    edits: Mapping[Place, Edit] = field(default_factory=dict)
    found: Activations = field(default_factory=dict)
    met: set[Place] = field(default_factory=set)


class Adapter:
    """Access to `resid_pre`, `attn_out`, `resid_mid`, `mlp_out` and `resid_post` of every layer,
    and to the output of any module.

    Attention and MLP outputs are what is added to the residual stream. When it is made, it proves
    itself on a random text: the stream is the sum of its parts from layer to layer, its end gives
    the model's own logits, and a change at each place changes them. `layerwise` runs the layers
    one by one; for models of a family that has no adapter it is None, and only those places are
    offered whose names are proven right.

    Raises ModelError where the proof fails, no layers are found, or a soft prompt stands before
    every text.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        if isinstance(model, SoftPrompted):
            raise ModelError(
                "this model reads every text after a soft prompt, whose positions no tool counts; "
                "look inside its base, or inside a model that was finetuned"
            )
        self.model = model
        self.parts: Parts = _family(model)(model)
        self.layerwise = Layerwise(model, self.parts) if self.parts.known else None
        self.offered: tuple[Component, ...] = STREAM if self.parts.known else ENDS
        self._thread = threading.local()
        self._hooked = 0
        with evaluating(model):
            if self.parts.known:
                self._prove()
            else:
                self._prove_offered()

    def _prove(self) -> None:
        now = _fingerprint(self.model)
        if _PROVEN.get(self.model) != now:
            prove(self)
            if self.layerwise is not None:
                prove_layerwise(self.model, self.layerwise)
            _PROVEN[self.model] = now

    def _prove_offered(self) -> None:
        """Attention and MLP where the stream is their sum, else the layers' ends alone."""
        try:
            prove(self)
        except InterpError:
            raise
        except Exception as error:  # whatever an unknown architecture makes of token ids and hooks
            reason = (str(error).strip().splitlines() or [""])[0]
            raise unproven(
                self.model, f"it cannot be run with hooks ({type(error).__name__}: {reason})"
            ) from error
        self.offered = STREAM
        try:
            prove(self)
        except ModelError:
            self.offered = ENDS

    @property
    def layers(self) -> int:
        return len(self.parts.blocks)

    @property
    def by_layers(self) -> Layerwise:
        """`layerwise`; ModelError where there is none."""
        if self.layerwise is None:
            raise ModelError(
                f"no adapter knows models of type {self.model.config.model_type!r}, of which only "
                f"whole components can be patched; known: {', '.join(sorted(FAMILIES))}"
            )
        return self.layerwise

    @property
    def places(self) -> list[Place]:
        """Every place, in the order of computation."""
        return [
            Place(component, layer)
            for layer, block in enumerate(self.parts.blocks)
            for component in self.offered
            if component != "resid_mid" or not block.parallel
        ]

    @property
    def components(self) -> list[Place]:
        """Every place that the sweep engine can change."""
        inside: tuple[Component, ...] = ("pattern", "z", "mlp_post") if self.layerwise else ()
        return self.places + [Place(c, layer) for layer in range(self.layers) for c in inside]

    def module(self, place: Place) -> nn.Module | None:
        """The module that a place names, if it does."""
        return dict(self.model.named_modules()).get(place.component) if place.is_module else None

    @contextmanager
    def hooked(self, modules: Collection[Place] = ()) -> Iterator[None]:
        """`run` works inside, also on the output of some `modules`; the model
        is in evaluation mode, and as before afterwards."""
        handles = [h for i, block in enumerate(self.parts.blocks) for h in self._hook(i, block)]
        handles += [self._hook_module(place) for place in modules]
        self._hooked += 1
        try:
            with evaluating(self.model):
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
        asked = {*capture, *(edits or {})}
        absent = {place for place in asked if not place.is_module}.difference(self.places)
        if absent:
            raise ModelError(f"this model has no {min(absent).name}; name one of its places")
        if self._hooked != 1:
            raise ModelError("activations are read and replaced inside one `with adapter.hooked()`")
        now = self._thread.now = _Now(ids.shape, capture, edits or {})
        try:
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        finally:
            self._thread.now = None
        missed = {place for place in asked if place.is_module}.difference(now.met)
        if missed:
            raise ModelError(f"{min(missed).name} is never computed; name a place that is")
        return logits, now.found

    def _hook_module(self, place: Place) -> torch.utils.hooks.RemovableHandle:
        module = self.module(place)
        if module is None:
            raise ModelError(f"this model has no module {place.component!r}; see named_modules()")

        def at_output(_: nn.Module, __: Any, out: Any) -> Any:
            value = _first(out)
            now: _Now | None = getattr(self._thread, "now", None)
            of_tokens = isinstance(value, Tensor) and value.ndim == 3
            if now is not None and not (of_tokens and value.shape[:2] == now.shape):
                raise ModelError(
                    f"module {place.component!r} gives no vector for each token; name another one"
                )
            return _with_first(out, self._at(place, value))

        return module.register_forward_hook(at_output)

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
            if edit is not None and block.mid_norm is None:
                # The stream then reads as asked for, in MLP and skip alike.
                before = stream[threading.get_ident()][edit.rows, edit.positions]
                value = value.clone()
                value[edit.rows, edit.positions] = edit.values.to(value) - before.to(value)
            return _with_first(out, value)

        def at_mid_norm(_: nn.Module, __: Any, value: Tensor) -> Tensor:
            return self._at(Place("resid_mid", layer), value)

        def before_mlp(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._keep(Place("resid_mid", layer), args[0])

        def at_mlp(_: nn.Module, __: Any, out: Any) -> Any:
            return _with_first(out, self._at(Place("mlp_out", layer), _first(out)))

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
        if now is None:
            return None
        now.met.add(place)
        return now.edits.get(place)

    def _keep(self, place: Place, value: Tensor) -> None:
        now: _Now | None = getattr(self._thread, "now", None)
        if now is not None and place in now.capture:
            now.met.add(place)
            now.found[place] = value


def _first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple | list) else out


def _with_first(out: Any, value: Tensor) -> Any:
    if isinstance(out, list):
        return [value, *out[1:]]
    return (value, *out[1:]) if isinstance(out, tuple) else value
