"""What `interp_rc` offers, for type checkers; see `__init__.py`."""

from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import (
    Fixed,
    FromModel,
    FromPrompt,
    Mean,
    Noise,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.named_sites import named_sites as sites
from interp_rc.engine.sites import Site
from interp_rc.facts.contrasts import read_contrasts, swapped, write_contrasts
from interp_rc.facts.tracings import Tracing, read_tracings
from interp_rc.facts.triples import Triple, contrasts_of, read_triples
from interp_rc.models.load import Loaded, load
from interp_rc.records.nouns import Contrast, Span
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.attribution.integrated_gradients import integrated_gradients
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.attribution.rank_correlation import rank_correlation
from interp_rc.tools.editing.keys import second_moments
from interp_rc.tools.editing.rank_one import RankOne, edited
from interp_rc.tools.editing.requests import Request, requests_of
from interp_rc.tools.editing.rome import invertible, rome
from interp_rc.tools.neurons.curves import neuron_curves
from interp_rc.tools.neurons.exchange import exchange_values
from interp_rc.tools.neurons.key_values import key_values, promoted
from interp_rc.tools.neurons.ranking import rank_neurons
from interp_rc.tools.neurons.writers import neuron_writes
from interp_rc.tools.patching.attention_cut import cut_costs
from interp_rc.tools.patching.knockout import knockout
from interp_rc.tools.patching.patching import patch
from interp_rc.tools.patching.path import path_patch
from interp_rc.tools.patching.tracing import trace
from interp_rc.tools.readout.attention import attention
from interp_rc.tools.readout.logit_lens import logit_lens
from interp_rc.tools.weights.exchange import exchanged
from interp_rc.tools.weights.sites import WeightSite
from interp_rc.tools.weights.update_readout import update_readouts

__version__: str

__all__ = [
    "Contrast",
    "Effects",
    "Fixed",
    "FromModel",
    "FromPrompt",
    "Loaded",
    "Mean",
    "Noise",
    "RankOne",
    "Request",
    "Site",
    "Span",
    "Tracing",
    "Triple",
    "WeightSite",
    "WithoutAdapters",
    "Zero",
    "__version__",
    "attention",
    "attribute",
    "contrasts_of",
    "cut_costs",
    "edited",
    "exchange_values",
    "exchanged",
    "integrated_gradients",
    "invertible",
    "key_values",
    "knockout",
    "load",
    "logit_attribution",
    "logit_lens",
    "neuron_curves",
    "neuron_writes",
    "patch",
    "path_patch",
    "promoted",
    "rank_correlation",
    "rank_neurons",
    "read_contrasts",
    "read_tracings",
    "read_triples",
    "requests_of",
    "rome",
    "second_moments",
    "sites",
    "swapped",
    "trace",
    "update_readouts",
    "write_contrasts",
]
