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
    "interp_rc.mechanism.patching": ["patch"],
    "interp_rc.mechanism.attribution": ["attribute"],
    "interp_rc.mechanism.rank_correlation": ["rank_correlation"],
    "interp_rc.mechanism.knockout": ["knockout"],
    "interp_rc.mechanism.path": ["path_patch"],
    "interp_rc.mechanism.tracing": ["trace"],
    "interp_rc.engine.effects": ["Effects"],
    "interp_rc.mechanism.memories.key_values": ["key_values", "promoted"],
    "interp_rc.mechanism.memories.ranking": ["rank_neurons"],
    "interp_rc.mechanism.memories.curves": ["neuron_curves"],
    "interp_rc.mechanism.memories.exchange": ["exchange_values"],
    "interp_rc.mechanism.memories.writers": ["neuron_writes"],
    "interp_rc.mechanism.integrated_gradients": ["integrated_gradients"],
    "interp_rc.mechanism.logit_lens": ["logit_lens"],
    "interp_rc.mechanism.logit_attribution": ["logit_attribution"],
    "interp_rc.mechanism.attention": ["attention"],
    "interp_rc.mechanism.attention_cut": ["cut_costs"],
    "interp_rc.mechanism.weights.exchange": ["exchanged"],
    "interp_rc.mechanism.weights.sites": ["WeightSite"],
    "interp_rc.mechanism.update_readout": ["update_readouts"],
    "interp_rc.mechanism.edits.requests": ["Request", "requests_of"],
    "interp_rc.mechanism.edits.keys": ["second_moments"],
    "interp_rc.mechanism.edits.rome": ["invertible", "rome"],
    "interp_rc.mechanism.edits.rank_one": ["RankOne", "edited"],
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
