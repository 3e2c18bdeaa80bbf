"""Causal tracing: noise on the subject, and one state after another restored."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.cases import check
from interp_rc.engine.effects import Effects
from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.interventions import FromPrompt, Patch
from interp_rc.engine.named_sites import placed
from interp_rc.engine.names import Metric
from interp_rc.engine.run_patches import run_patches
from interp_rc.engine.sites import Site, tokens_of
from interp_rc.facts.tracings import Tracing
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.embedded import embed_without_positions
from interp_rc.models.adapters.parts import Component
from interp_rc.models.dimensions import width_of
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.limits import MOST_REPEATS
from interp_rc.records.seeds import derive_seed

DRAWS, SCALE = 10, 3.0
WINDOW = 10  # layers, at the most
WINDOWED: tuple[Component, ...] = ("attn_out", "mlp_out")
SUBJECT = Site("resid_pre", 0, "A", "all")

Noise = Float[Tensor, "draw token width"]


def trace(
    model: Loaded,
    tracings: Sequence[Tracing],
    sites: Sequence[Site] | None = None,
    *,
    metric: Metric = "probability",
    draws: int = DRAWS,
    scale: float = SCALE,
    noise: Sequence[Noise] | None = None,
    seed: int = 0,
    memory: int | None = None,
    resume: Path | None = None,
) -> Effects:
    """Corrupt each prompt's subject with noise, and restore the clean state at one site at a time.

    Gaussian noise of `scale` standard deviations of what the first layer reads at all subjects'
    tokens, learnt positions taken off, is added there at the subject's own tokens; all values are
    means over the draws (Meng et al. 2022, arXiv:2202.05262, section 2.1; there ten draws and
    three standard deviations). Without `sites`, at every token of every prompt: the stream after
    each layer, and windows of layers of attention and of the MLPs (see `trace_sites`). `noise`
    takes the place of what is drawn: for each prompt (draws, tokens of the subject, width).
    Corrupted is the metric with noise and nothing restored. What is drawn depends on `seed` and a
    prompt's id only.

    `resume` is the folder of the sweep's results so far, as in `patch`, which also says what is
    raised.
    """
    sites = trace_sites(model, tracings) if sites is None else placed(sites, model.model)
    contrasts = [one.contrast for one in tracings]
    check(contrasts, sites, metric, "corrupted")
    if noise is None:
        noise = drawn_noise(model, tracings, draws=draws, scale=scale, seed=seed)
    clean = FromPrompt()
    return run_patches(
        model,
        contrasts,
        [Patch(site, clean) for site in sites],
        metric,
        noise=_at_subjects(model, tracings, noise),
        memory=memory,
        resume=resume,
        label="tracing",
    )


def trace_sites(
    model: Loaded, tracings: Sequence[Tracing], *, window: int | None = None
) -> list[Site]:
    """The published ones: each state at every position of the longest prompt.

    Without a `window`, of attention and MLPs, it has ten layers, or half of the model's if it has
    fewer than twenty: a wider one would be the same at many layers. Where attention and MLPs are
    not told apart, the stream alone is traced, and a warning says so.
    """
    adapter = Adapter(model.model)
    read = _inputs(model, tracings)
    positions = range(max(one.start for one in read))
    wide = default_window(adapter.layers) if window is None else window
    windows: dict[Component, int] = {"resid_post": 1}
    if set(WINDOWED) <= set(adapter.offered):
        windows |= dict.fromkeys(WINDOWED, wide)
    else:
        warnings.warn(
            f"in models of type {model.model.config.model_type!r} it is not known what attention "
            "and MLPs add, so the stream alone is traced; name modules by sites of your own, as in "
            "model.named_modules()",
            stacklevel=2,
        )
    return [
        Site(component, layer, position=position, window=layers, optional=True)
        for component, layers in windows.items()
        for layer in range(adapter.layers)
        for position in positions
    ]


def default_window(layers: int) -> int:
    """Ten layers, as published for models of 28 and 48, and half of a shallower model's."""
    return max(1, min(WINDOW, layers // 2))


def drawn_noise(
    model: Loaded, tracings: Sequence[Tracing], *, draws: int, scale: float, seed: int
) -> list[Noise]:
    """Of each prompt: `scale` times the standard deviation, over all subjects' tokens, of what the
    noise is added to: what the first layer reads there, less what learnt positions add.

    (In the original that is the embedding itself; here it may have been scaled or normed since.)
    """
    if not 1 <= draws <= MOST_REPEATS:
        raise ConfigError(f"{draws} draws of the noise; take 1 to {MOST_REPEATS:,}")
    if not (math.isfinite(scale) and scale >= 0):
        raise ConfigError(f"the noise's scale is {scale}; give a number of standard deviations")
    adapter = Adapter(model.model)
    inputs = _inputs(model, tracings)
    subjects = [
        [at for at, _ in tokens_of(one.contrast, SUBJECT, read.offsets, read.offsets)]
        for one, read in zip(tracings, inputs, strict=True)
    ]
    starts = embed_without_positions(adapter.model, adapter.parts, [read.ids for read in inputs])
    at_subjects = [start[tokens] for start, tokens in zip(starts, subjects, strict=True)]
    deviation = scale * float(torch.cat(at_subjects).float().std())
    width = width_of(model.model)
    found = []
    for one, tokens in zip(tracings, subjects, strict=True):
        draw = torch.Generator().manual_seed(derive_seed(seed, one.id))
        found.append(deviation * torch.randn(draws, len(tokens), width, generator=draw))
    return found


def _inputs(model: Loaded, tracings: Sequence[Tracing]) -> list[Input]:
    return inputs_of(model, [one.contrast for one in tracings], "clean")


def _at_subjects(
    model: Loaded, tracings: Sequence[Tracing], noise: Sequence[Noise]
) -> list[Float[Tensor, "draw position width"]]:
    """The draws of each prompt's noise, zero outside its subject."""
    causal = Adapter(model.model).parts.causal
    everywhere = []
    for one, read, drawn in zip(tracings, _inputs(model, tracings), noise, strict=True):
        tokens = [at for at, _ in tokens_of(one.contrast, SUBJECT, read.offsets, read.offsets)]
        if drawn.shape[1] != len(tokens):
            raise DataError(
                f"{one.named}: noise for {drawn.shape[1]} tokens, and the subject has "
                f"{len(tokens)}; give (draws, tokens of the subject, width)"
            )
        added = torch.zeros(len(drawn), len(read.ids) - causal, drawn.shape[-1])
        added[:, tokens] = drawn.to(added)
        everywhere.append(added)
    return everywhere
