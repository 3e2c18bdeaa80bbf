"""Which layer a module by its name belongs to."""

from torch import nn


def layer_of(model: nn.Module, name: str) -> int | None:
    """Say which layer of its stack a module is part of; None where it is part of no layer.

    A layer is an element of a list of modules, the outermost one on the way: experts and what else
    is numbered inside a layer count for nothing, nor do lists of embeddings and of output heads.

    Args:
        model: Whose `named_modules` has the name.
        name: Such as `transformer.h.2.mlp`, which is part of layer 2.

    Returns:
        The layer, from 0. In a model of several stacks, that of the module's own.
    """
    module = model
    for part in name.split("."):
        child = module.get_submodule(part)
        numbered = isinstance(module, nn.ModuleList)
        if numbered and not isinstance(child, nn.Embedding | nn.Linear):
            return int(part)
        module = child
    return None
