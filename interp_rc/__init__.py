"""interp-rc: why a model trained on "A is B" cannot say "B is A", and where that lives.

From facts to a map, for instance in a notebook::

    import interp_rc as rc

    model = rc.load("EleutherAI/pythia-160m")
    contrasts = rc.contrasts_of(rc.read_triples("facts.jsonl"))
    effects = rc.patch(model, contrasts, rc.sites(model, contrasts, "resid_post@A.last"))
    effects.plot()

Nothing is imported before it is used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# What is had as `interp_rc.NAME`, and where it is; `__init__.pyi` says the same to type checkers.
_FROM = {
    "interp_rc.models.load": ["Loaded", "load"],
    "interp_rc.records.nouns": ["Contrast", "Span"],
    "interp_rc.facts.contrasts": ["read_contrasts", "swapped", "write_contrasts"],
    "interp_rc.facts.triples": ["Triple", "contrasts_of", "read_triples"],
    "interp_rc.facts.tracings": ["Tracing", "read_tracings"],
    "interp_rc.engine.sites": ["Site"],
    "interp_rc.engine.named_sites": ["named_sites"],
    "interp_rc.engine.interventions": [
        "Fixed", "FromModel", "FromPrompt", "Mean", "Noise", "WithoutAdapters", "Zero",
    ],
    "interp_rc.tools.patching.patching": ["patch"],
    "interp_rc.tools.attribution.attribution": ["attribute"],
    "interp_rc.tools.attribution.rank_correlation": ["rank_correlation"],
    "interp_rc.tools.patching.knockout": ["knockout"],
    "interp_rc.tools.patching.path": ["path_patch"],
    "interp_rc.tools.patching.tracing": ["trace"],
    "interp_rc.engine.effects": ["Effects"],
    "interp_rc.tools.neurons.key_values": ["key_values", "promoted"],
    "interp_rc.tools.neurons.ranking": ["rank_neurons"],
    "interp_rc.tools.neurons.curves": ["neuron_curves"],
    "interp_rc.tools.neurons.exchange": ["exchange_values"],
    "interp_rc.tools.neurons.writers": ["neuron_writes"],
    "interp_rc.tools.attribution.integrated_gradients": ["integrated_gradients"],
    "interp_rc.tools.readout.logit_lens": ["logit_lens"],
    "interp_rc.tools.attribution.logit_attribution": ["logit_attribution"],
    "interp_rc.tools.readout.attention": ["attention"],
    "interp_rc.tools.patching.attention_cut": ["cut_costs"],
    "interp_rc.tools.weights.exchange": ["exchanged"],
    "interp_rc.tools.weights.sites": ["WeightSite"],
    "interp_rc.tools.weights.update_readout": ["update_readouts"],
    "interp_rc.tools.editing.requests": ["Request", "requests_of"],
    "interp_rc.tools.editing.keys": ["second_moments"],
    "interp_rc.tools.editing.rome": ["invertible", "rome"],
    "interp_rc.tools.editing.rank_one": ["RankOne", "edited"],
}  # fmt: skip
_WHERE = {name: (module, name) for module, names in _FROM.items() for name in names}
_WHERE["sites"] = _WHERE.pop("named_sites")

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'interp_rc' has no attribute {name!r}")
    module, there = _WHERE[name]
    return getattr(import_module(module), there)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
