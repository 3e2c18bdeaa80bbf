"""Run patches: the engine's front door.

Both runs of every contrast are cached, in batches that fit into memory, and every patch is
continued from there.
"""

from collections.abc import Collection, Container, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.cases import Batch, BothRuns, Case, check, check_differ, in_itself, read_cases
from interp_rc.engine.continuing import continued
from interp_rc.engine.effect_table import effects_of, mean_over_draws, position_of, whole_difference
from interp_rc.engine.effects import Effects
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.hiding import hidden_runs
from interp_rc.engine.inputs import Input
from interp_rc.engine.interventions import (
    FromModel,
    FromPrompt,
    FromSender,
    Group,
    Mean,
    Means,
    Patch,
    WithoutAdapters,
)
from interp_rc.engine.memory import Budget
from interp_rc.engine.metrics import log_probs_at
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.path_planning import PathBudget, check_paths, ends_of, path_runs
from interp_rc.engine.path_received import Received, send
from interp_rc.engine.planning import (
    check_patches,
    check_tokens,
    means_of,
    places_of,
    runs_of,
    site_runs,
)
from interp_rc.engine.steps import ChangedRun, Give
from interp_rc.engine.store import Found, Store, Swept
from interp_rc.engine.waves import unpatched
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.batching import batch_by_length
from interp_rc.models.dimensions import text_config
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Contrast

SHAPE = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "head_dim",
    "intermediate_size",
    "n_inner",
)

Noise = Float[Tensor, "draw position width"]


def run_patches(
    model: Loaded,
    contrasts: Sequence[Contrast],
    patches: Sequence[Patch],
    metric: Metric = "log_prob",
    *,
    into: Into = "corrupted",
    noise: Sequence[Noise] | None = None,
    memory: int | None = None,
    resume: Path | None = None,
    label: str = "patching",
) -> Effects:
    """Give each patch's value to its site in the run of the prompt `into`, one patch at a time.

    With `noise`, one of each contrast, the corrupted run is that of the clean prompt with a draw
    added to what the first layer reads, and every number is a mean over the draws. `memory` bounds
    what is computed at once, in bytes; no value depends on it. `resume` is a folder that the
    results of each batch are kept in, and taken from. The bar of progress shows the `label`.

    Returns the effects, a row a contrast and patch, as `patch` describes them.

    Raises ConfigError for an unknown metric, a site that the model does not have or that its value
    does not fit, or no patches or contrasts; DataError for a contrast without the span, or without
    a foil where one is needed; ModelError for a model whose adapter does not fit.
    """
    check(contrasts, patches, metric, into)
    adapter = Adapter(model.model)
    check_patches(patches, adapter)
    check_paths(patches, adapter.parts)
    cases = _cases(model, contrasts, patches, metric, noise)
    if metric == "logit_difference" and not all(case.is_one_token for case in cases):
        return whole_difference(
            contrasts,
            lambda some: run_patches(
                model,
                some,
                patches,
                into=into,
                noise=noise,
                memory=memory,
                resume=resume and resume / ("target" if some is contrasts else "foil"),
                label=label,
            ),
        )
    check_tokens(cases, patches)
    clean, corrupted = runs_of(adapter, patches)
    given, kept = places_of(patches, adapter)
    store = None
    if resume is not None:
        store = Store(resume, [model, contrasts, _told(patches), metric, into, noise])
    both = BothRuns(
        cases=cases if noise is None else _noised(cases, noise),
        clean=clean,
        corrupted=corrupted,
        given=given,
        kept=kept,
        metric=metric,
        into=into,
        patches=len(patches),
        memory=memory,
    )
    done = _done(both, patches, store, label)
    if noise is not None:
        done = mean_over_draws(done, list(map(len, noise)))
    return effects_of(cases, patches, metric, into, done)


def _cases(
    model: Loaded,
    contrasts: Sequence[Contrast],
    patches: Sequence[Patch],
    metric: Metric,
    noise: Sequence[Noise] | None,
) -> list[Case]:
    """The contrasts as they are read; those of another model's values, or of noise, with the clean
    prompt in both places. Raises DataError if their prompts are the same where they may not be."""
    value = patches[0].value
    of_model = isinstance(value, FromModel | WithoutAdapters)
    if of_model or noise is not None:
        contrasts = [in_itself(contrast, "clean") for contrast in contrasts]
    other = value.model if isinstance(value, FromModel) else model
    cases = read_cases(other, model, contrasts, metric)
    if isinstance(value, FromModel):
        _check_alike(other, model, cases)
    if noise is None and any(isinstance(one.value, FromPrompt | FromSender) for one in patches):
        check_differ(cases)
    return cases


def _check_alike(other: Loaded, model: Loaded, cases: Sequence[Case]) -> None:
    """Raises ModelError unless activations of the other model have places in this one."""
    for name in SHAPE:
        there, here = (getattr(text_config(one.model), name, None) for one in (other, model))
        if there != here:
            raise ModelError(
                f"the other model has {name} {there}, and this one {here}; give one of its shape"
            )
    if any(case.clean.ids != case.corrupted.ids for case in cases):
        raise ModelError("the other model's tokenizer reads other tokens; give one with the same")


def _noised(cases: Sequence[Case], noise: Sequence[Noise]) -> list[Case]:
    """A case for every draw."""
    pairs = zip(cases, noise, strict=True)
    return [case._replace(noise=draw) for case, draws in pairs for draw in draws]


def _told(patches: Sequence[Patch]) -> list[object]:
    """All that decides what patches do, each value once: one may be a whole model."""
    values = {id(value): value for _, value in patches}
    number = {key: n for n, key in enumerate(values)}
    return [list(values.values()), [[site, number[id(value)]] for site, value in patches]]


@torch.no_grad()
def _done(both: BothRuns, patches: Sequence[Patch], store: Store | None, label: str) -> Swept:
    """What is found of all patches, batch after batch; what the store has is taken from there."""
    senders, receivers = ends_of(patches)
    budget = PathBudget(both, senders, receivers) if senders else both.budget()
    ids = [case.contrast.id for case in both.cases]
    means: Means = {}
    if any(isinstance(value, Mean) for _, value in patches):
        means = means_of(both, cached_batches(both, budget), patches)
    done = Swept({}, {}) if store is None else store.read()
    total = len(both.cases) * len(patches)
    with tqdm(total=total, desc=label, unit="patch", disable=None) as bar:
        bar.update(len(done.known) * len(patches))
        for batch in cached_batches(both, budget, done.known):
            part = Swept(dict(zip(batch.numbers, batch.known, strict=True)), {})
            changed, zeros = _planned(both, batch, patches)
            for run in zeros:
                unchanged = part.known[run.key[0]][both.into == "corrupted"]
                part.found[run.key] = Found(position_of(run), unchanged, structural_zero=True)
            bar.update(len(batch.numbers) * len(patches) - len(changed))
            group = Group(batch.giving, batch.taking, patches, ids, means)
            if senders:
                sent = send(both, batch, senders)
                group.reached = Received(both.by_layers, batch.taking, sent, budget)
            with both.taking.opened():
                values = _continued(both, batch, changed, group.put, budget, bar)
            part.found.update({run.key: Found(position_of(run), value) for run, value in values})
            if store is not None:
                store.add(part)
            done.known.update(part.known)
            done.found.update(part.found)
    return done


def _planned(
    both: BothRuns, batch: Batch, patches: Sequence[Patch]
) -> tuple[list[ChangedRun], list[ChangedRun]]:
    """What is to be computed of a batch, and what is known to change nothing."""
    kinds = [runs(both, batch, patches) for runs in (site_runs, path_runs, hidden_runs)]
    changed, zeros = ([run for some in kind for run in some] for kind in zip(*kinds, strict=True))
    return changed, zeros


def _continued(
    both: BothRuns,
    batch: Batch,
    changed: Sequence[ChangedRun],
    give: Give,
    budget: Budget,
    bar: tqdm,
) -> list[tuple[ChangedRun, float]]:
    runs, rest = both.taking, (batch.taking, changed, give, both.metric, budget, bar)
    return list(runs.continued(*rest) if isinstance(runs, FullPasses) else continued(runs, *rest))


def cached_batches(both: BothRuns, budget: Budget, done: Container[int] = ()) -> Iterator[Batch]:
    """Both runs of the cases that are not `done`."""
    places = {"clean": both.given, "corrupted": both.kept}
    if both.into == "clean":
        places = {"clean": both.kept, "corrupted": both.given}
    for numbers in _fitting(both, budget, done):
        cases = [both.cases[number] for number in numbers]
        with both.clean.opened():
            clean = _cached(both.clean, [case.clean for case in cases], places["clean"])
            reference = None
            if both.metric == "kl":
                reference = log_probs_at(both.clean, clean.stream[-1][clean.asked.read])
            clean.asked.reference, clean.asked.at_once = reference, budget.unembedded
            known = [unpatched(both.clean, clean, both.metric).tolist()]
        with both.corrupted.opened():
            inputs, noise = [case.corrupted for case in cases], _padded_noise(cases)
            corrupted = _cached(both.corrupted, inputs, places["corrupted"], noise)
            corrupted.asked.reference, corrupted.asked.at_once = reference, budget.unembedded
            known.append(unpatched(both.corrupted, corrupted, both.metric).tolist())
        runs = (clean, corrupted) if both.into == "corrupted" else (corrupted, clean)
        yield Batch(numbers, *runs, list(zip(*known, strict=True)))


def _fitting(both: BothRuns, budget: Budget, done: Container[int]) -> list[list[int]]:
    """Cases of like length together, as many as fit."""
    left = [number for number in range(len(both.cases)) if number not in done]
    prompts = [(both.cases[number].clean, both.cases[number].corrupted) for number in left]
    sizes = [max(len(clean.ids), len(corrupted.ids)) for clean, corrupted in prompts]

    def fits(some: Sequence[int]) -> bool:
        each = budget.of_pair(sizes[some[-1]], both.given, both.kept, both.patches)
        return len(some) * each <= budget.cached

    return [[left[n] for n in some] for some in batch_by_length(both.taking.model, sizes, fits)]


def _cached(
    runs: Layerwise | FullPasses,
    inputs: Sequence[Input],
    keep: Collection[Place],
    noise: Float[Tensor, "prompt position width"] | None = None,
) -> Cached:
    if isinstance(runs, FullPasses):
        return runs.cache(inputs, keep, noise)
    return cache(runs, inputs, keep, noise)


def _padded_noise(cases: Sequence[Case]) -> Float[Tensor, "prompt position width"] | None:
    given = [case.noise for case in cases if case.noise is not None]
    if not given:
        return None
    return pad_sequence(given, batch_first=True)
