"""The sites that texts name in one model, for some contrasts."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from torch import nn

from interp_rc.engine.inputs import positions
from interp_rc.engine.sites import Site, means_every_position, parse_site
from interp_rc.models.adapters.module_layers import layer_of
from interp_rc.models.dimensions import heads_of, layers_of
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast


def named_sites(
    model: Loaded, contrasts: Sequence[Contrast], texts: str | Sequence[str]
) -> list[Site]:
    """Each site once, as `parse_site` reads it with the model's layers and heads.

    `mlp_out` or `mlp_out@*` means every position of the prompts, whose two must then have equally
    many tokens. A module's name, as in `model.named_modules()`, stands for its output. Raises
    ConfigError for texts that name no site, DataError for such prompts.
    """
    texts = [texts] if isinstance(texts, str) else texts
    modules = dict(model.model.named_modules())
    known = [_module(text, modules) for text in texts]
    every = any(means_every_position(text) for text, _ in known)
    there = positions(model, contrasts) if every else None
    found: dict[Site, None] = {}
    for text, module in known:
        sites = parse_site(
            text,
            layers_of(model.model),
            heads=heads_of(model.model),
            positions=there,
        )
        if module is not None:
            sites = [
                replace(site, component=module, layer=layer_of(model.model, module))
                for site in sites
            ]
        found |= dict.fromkeys(sites)
    return list(found)


def placed(sites: Sequence[Site], model: nn.Module) -> list[Site]:
    """The same sites, modules by their names each in the layer that it is part of."""
    names = {site.component for site in sites if site.is_module}
    there = names.intersection(name for name, _ in model.named_modules())
    layers = {name: layer_of(model, name) for name in there}
    return [
        replace(site, layer=layers[site.component]) if site.component in layers else site
        for site in sites
    ]


def _module(text: str, modules: Collection[str]) -> tuple[str, str | None]:
    """The text as it would be of a component, and the module that it names, if it does."""
    name, at, where = text.partition("@")
    if "." in name and name in modules:
        return f"resid_pre.0{at}{where}", name
    return text, None
