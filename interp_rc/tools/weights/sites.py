"""Parts of a model's weights, by name: matrices, whole attentions and MLPs, neurons, and the rest.

`input_embedding`, `attention.<layer>`, `mlp.<layer>`, `output_rows` and `norms` hold every
parameter once. Output rows that are tied to the embedding are a site of their own: the two uses of
the one matrix can be exchanged each (see `parameter_groups.untied`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Block
from interp_rc.records.errors import ConfigError, ModelError

Part = Literal["input_embedding", "attention", "mlp", "output_rows", "norms", "key", "value"]
OUTSIDE: tuple[Part, ...] = ("input_embedding", "output_rows", "norms")
OF_NEURONS: tuple[Part, ...] = ("key", "value")
NAMED = re.compile(rf"({'|'.join(get_args(Part))})(?:\.(\d+))?(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class WeightSite:
    """One `part` of the weights, or one linear `module` by the model's own name, with its bias.

    A neuron's `key` is its row of `up` (and of `gate`, where there is one) with the entry of the
    bias; its `value` is its column of `down`.
    """

    part: Part | None = None
    layer: int | None = None
    neuron: int | None = None
    module: str | None = None

    @property
    def name(self) -> str:
        known = (self.part, self.layer, self.neuron)
        return self.module or ".".join(str(one) for one in known if one is not None)

    @classmethod
    def parse(cls, name: str) -> "WeightSite":
        """Raises ConfigError for a part without its layer or neuron, or with too many."""
        found = NAMED.fullmatch(name)
        if found is None and "." in name:
            return cls(module=name)
        part, *numbers = found.groups() if found else ("", None, None)
        given = [int(number) for number in numbers if number is not None]
        wanted = 0 if part in OUTSIDE else 2 if part in OF_NEURONS else 1
        if not part or len(given) != wanted:
            raise ConfigError(
                f"no weights are called {name!r}; name a linear module, or write "
                f"{', '.join(OUTSIDE)}, attention.LAYER, mlp.LAYER, key.LAYER.NEURON or "
                "value.LAYER.NEURON"
            )
        return cls(part, *given)  # type: ignore[arg-type]


class Piece(NamedTuple):
    """A parameter by name; of a neuron only what is `at` this place of dimension `dim`."""

    parameter: str
    dim: int | None = None
    at: int | None = None


def units(adapter: Adapter) -> list[WeightSite]:
    """Sites that hold every parameter of the model once."""
    layers = range(adapter.layers)
    inside = [WeightSite(part, n) for n in layers for part in ("attention", "mlp")]
    return [WeightSite("input_embedding"), *inside, WeightSite("output_rows"), WeightSite("norms")]


def matrices(adapter: Adapter) -> list[WeightSite]:
    """Every linear module of every layer's attention and MLP, in the model's order."""
    names = _names(adapter)
    found = [
        WeightSite(layer=layer, module=names[module])
        for layer, block in enumerate(adapter.by_layers.parts.blocks)
        for root in (*_attention(block), block.mlp)
        for module in _linear(root)
    ]
    return list(dict.fromkeys(found))


def component_of(adapter: Adapter, site: WeightSite) -> str:
    """The unit that a site belongs to, but for its layer."""
    if site.part is not None:
        return {"key": "mlp", "value": "mlp"}.get(site.part, site.part)
    module = module_of(adapter, site)
    block = adapter.by_layers.parts.blocks[_layer_of(adapter, module)]
    return "mlp" if module in set(block.mlp.modules()) else "attention"


def located(adapter: Adapter, name: str) -> WeightSite:
    """`WeightSite.parse`, with a module's layer. Raises ModelError where the model has no such."""
    site = WeightSite.parse(name)
    if site.module is not None:
        site = WeightSite(layer=_layer_of(adapter, module_of(adapter, site)), module=site.module)
    else:
        pieces_of(adapter, site)
    return site


def pieces_of(adapter: Adapter, site: WeightSite) -> list[Piece]:
    """Names of the parameters that a site holds, in a model that is not adapted by LoRA.

    Raises ModelError for a layer, neuron or module that the model does not have.
    """
    if site.part in OF_NEURONS:
        return _of_neuron(adapter, site)
    if site.part == "norms":
        others = {p for one in units(adapter)[:-1] for p in pieces_of(adapter, one)}
        every = (Piece(name) for name, _ in adapter.model.named_parameters(remove_duplicate=False))
        return [piece for piece in every if piece not in others]
    names = _names(adapter)
    return [
        Piece(f"{names[module]}.{name}")
        for module in modules_of(adapter, site)
        for name, _ in module.named_parameters(recurse=False)
    ]


def modules_of(adapter: Adapter, site: WeightSite) -> list[nn.Module]:
    """All modules that a site other than a neuron's or the norms holds, with those inside them."""
    if site.module is not None:
        roots = [module_of(adapter, site)]
    elif site.part == "input_embedding":
        roots = list(adapter.by_layers.parts.embeddings)
    elif site.part == "output_rows":
        roots = [adapter.model.get_output_embeddings()]
    else:
        block = _block(adapter, site)
        roots = _attention(block) if site.part == "attention" else [block.mlp]
    return list(dict.fromkeys(module for root in roots for module in root.modules()))


def module_of(adapter: Adapter, site: WeightSite) -> nn.Module:
    """Of a matrix; ModelError unless it is a linear module in a layer."""
    found = dict(adapter.model.named_modules()).get(str(site.module))
    if found is None or not isinstance(found, (nn.Linear, Conv1D, LoraLayer)):
        raise ModelError(
            f"this model has no linear module {site.module!r}; see model.named_modules()"
        )
    return found


def _layer_of(adapter: Adapter, module: nn.Module) -> int:
    for layer, block in enumerate(adapter.by_layers.parts.blocks):
        if any(module is one for one in block.whole.modules()):
            return layer
    raise ModelError("this module is in no layer; name output_rows or input_embedding instead")


def _attention(block: Block) -> list[nn.Module]:
    return [block.attention, block.project]


def _linear(root: nn.Module) -> Iterator[nn.Module]:
    """Linear modules, not those that an adapter keeps inside one."""
    if isinstance(root, (nn.Linear, Conv1D, LoraLayer)):
        yield root
    else:
        for child in root.children():
            yield from _linear(child)


def _block(adapter: Adapter, site: WeightSite) -> Block:
    blocks = adapter.by_layers.parts.blocks
    if site.layer is None or site.layer >= len(blocks):
        raise ModelError(f"{site.name}: this model has layers 0 to {len(blocks) - 1}; name one")
    return blocks[site.layer]


def _names(adapter: Adapter) -> dict[nn.Module, str]:
    return {module: name for name, module in adapter.model.named_modules()}


def _of_neuron(adapter: Adapter, site: WeightSite) -> list[Piece]:
    block, names = _block(adapter, site), _names(adapter)
    modules = [block.up, block.gate] if site.part == "key" else [block.down]
    found = []
    for module in (one for one in modules if one is not None):
        if not isinstance(module, (nn.Linear, Conv1D)):
            raise ModelError(
                f"{site.name}: {names[module]} is a {type(module).__name__}, whose neurons have no "
                "weights of their own; merge the adapter into its model first"
            )
        # A Conv1D's weight is input x output, a Linear's output x input.
        dim = int(isinstance(module, Conv1D)) if site.part == "key" else _input_dim(module)
        neurons = module.weight.shape[dim]
        if site.neuron is None or site.neuron >= neurons:
            raise ModelError(f"{site.name}: the layer has neurons 0 to {neurons - 1}; name one")
        found.append(Piece(f"{names[module]}.weight", dim, site.neuron))
        if site.part == "key" and module.bias is not None:
            found.append(Piece(f"{names[module]}.bias", 0, site.neuron))
    return found


def _input_dim(module: nn.Module) -> int:
    return 0 if isinstance(module, Conv1D) else 1
