"""Does it matter for an edit where a fact was located? (Hase et al. 2023, arXiv:2301.04213)

Two questions that are easily taken for one: whether layers in which facts are found are layers in
which they can be edited, and whether, within a layer, facts that are found more are edited better.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import rankdata, spearmanr
from tqdm import tqdm

from interp_rc.engine.sites import Site
from interp_rc.facts.contrasts import contrasts_about
from interp_rc.facts.tracings import Tracing
from interp_rc.measures.editing.asked import Questions, ask
from interp_rc.measures.editing.cases import Case, Known
from interp_rc.measures.editing.estimates import NAME
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.gradients.training_steps import restored
from interp_rc.tools.patching.patching import patch
from interp_rc.tools.patching.tracing import trace

DRAWS = 500  # of facts, for what is not a mean over them
UNITS = "correlation", "share of variance"
GROUP = ["order", "group", "layer"]


def located(model: Loaded, known: Known, cases: Sequence[Case], seed: int) -> pd.DataFrame:
    """What each layer does for log p(B | A) at the source, one row a case, layer and way to locate
    [nat], in the first template that edits are asked in.

    `tracing`: noise on the source, and what the MLP adds at its last token put back (Meng et al.
    2022, arXiv:2202.05262, section 2); `tracing_stream`: the stream there; `tracing_source`: what
    the MLP adds at all of its tokens. `patching_source`: the same, put into the prompt about the
    other fact.
    """
    layers = range(Adapter(model.model).layers)
    sites = {
        "tracing": [Site("mlp_out", layer, "A") for layer in layers],
        "tracing_stream": [Site("resid_post", layer, "A") for layer in layers],
        "tracing_source": [Site("mlp_out", layer, "A", "all") for layer in layers],
    }
    asked = [known.about(case.fact, case.order, known.asking[case.order][0]) for case in cases]
    tracings = [
        Tracing(
            f"{case.fact}/{case.order}",
            case.fact,
            query.prompt,
            query.prompt[slice(*query.source)],
            query.target,
            query.source.start,
            case.order,
        )
        for case, query in zip(cases, asked, strict=True)
    ]
    frames = []
    for by, some in sites.items():
        table = trace(model, tracings, some, metric="log_prob", seed=seed).table
        frames.append(_rows(table, tracings, cases, by))
    swaps = [
        one
        for case in cases
        for one in contrasts_about(
            [
                known.about(fact, case.order, known.asking[case.order][0])
                for fact in (case.fact, case.other)
            ],
            {case.fact: case.other},
        )
    ]
    sources = [Site("mlp_out", layer, "source", "all") for layer in layers]
    frames.append(_rows(patch(model, swaps, sources).table, swaps, cases, "patching_source"))
    return pd.concat(frames, ignore_index=True)


def _rows(
    table: pd.DataFrame, some: Sequence[object], cases: Sequence[Case], by: str
) -> pd.DataFrame:
    case_of = {one.id: case for one, case in zip(some, cases, strict=True)}  # type: ignore[attr-defined]
    owner = table.pair.map(case_of)
    return pd.DataFrame(
        {
            "fact": [case.fact for case in owner],
            "order": [case.order for case in owner],
            "group": [case.group for case in owner],
            "layer": table.layer.astype(int).to_numpy(),
            "by": by,
            "effect": table.effect.to_numpy(float),
            "structural_zero": table.structural_zero.to_numpy(bool),
        }
    )


def transplanted(base: Loaded, model: Loaded, asked: Mapping[Case, Questions]) -> pd.DataFrame:
    """What the finetuned MLP of one layer does for log p(B | A) in the base model, likewise."""
    ours, theirs = (Adapter(one.model).parts.blocks for one in (base, model))
    some = {case: one.about("old") for case, one in asked.items()}
    before = {case: ask(base, one)["old"].log_prob for case, one in some.items()}
    rows = []
    for layer, (own, given) in enumerate(zip(ours, theirs, strict=True)):
        with restored(base.model, own.mlp.parameters()):
            with torch.no_grad():
                for one, other in zip(own.mlp.parameters(), given.mlp.parameters(), strict=True):
                    one.copy_(other)
            for case, one in tqdm(some.items(), desc=f"transplants of {layer}", disable=None):
                row = {"fact": case.fact, "order": case.order, "group": case.group}
                row |= {"layer": layer, "by": "transplant", "structural_zero": False}
                rows.append(row | {"effect": ask(base, one)["old"].log_prob - before[case]})
    return pd.DataFrame(rows)


def with_success(where: pd.DataFrame, edits: pd.DataFrame) -> pd.DataFrame:
    """Each row with the `success` of the edit of that fact in that layer: the log-probability of
    its new answer in other words afterwards [nat]. (What it gains would be driven, within a layer,
    by how unlikely the answer was before; over a fact's layers the two rank alike.) Layers in
    which nothing done at the source can reach the answer are left out: that locating and editing
    both say nothing there is no agreement."""
    after = edits[(edits.edit == "one_way") & (edits.asked == "paraphrase")]
    keys = ["fact", "order", "layer"]
    found = where.join(after.set_index(keys).value.rename("success"), on=keys)
    reach = ~where.structural_zero.groupby(where.layer).any()
    return found[found.layer.map(reach)].drop(columns="structural_zero")


def predicted(table: pd.DataFrame, seed: int) -> Estimates:
    """By way to locate: Spearman's correlation with success over a fact's layers (mean over
    facts); over the facts of a layer, order and group (mean over these); and the share of the
    variance of success that layer (of each order and group) explains alone (`layer_alone`), and
    the share of what that leaves which a common slope on the effect explains
    (`within_variance`, which cannot be below zero), their intervals by a percentile bootstrap over
    facts."""
    found = Estimates(NAME)
    for by, part in table.groupby("by", sort=False):
        for name, values in (
            ("over_layers", over_layers(part)),
            ("within_layers", within_layers(part)),
        ):
            if len(values):
                use = derive_seed(seed, str(by), name)
                one = bootstrap_mean(values, UNITS[0], seed=use)
                found.add(one, part="located", method=by, quantity=name)
        ends = np.percentile(_drawn(part, derive_seed(seed, str(by))), [2.5, 97.5], axis=0)
        alone, within = (
            Estimate(value, float(low), float(high), part.fact.nunique(), UNITS[1])
            for value, low, high in zip(explained(part), *ends, strict=True)
        )
        found.add(within, part="located", method=by, quantity="within_variance")
    found.add(alone, part="located", quantity="layer_alone")  # whichever located: of edits only
    return found


def over_layers(part: pd.DataFrame) -> Float[np.ndarray, " fact"]:
    """Of every fact whose layers differ in both; mean over the orders it is edited in."""
    found: dict[str, list[float]] = {}
    for (fact, _), rows in part.groupby(["fact", "order"]):
        if len(rows) > 2 and rows[["effect", "success"]].nunique().min() > 1:
            found.setdefault(str(fact), []).append(
                float(spearmanr(rows.effect, rows.success).statistic)
            )
    return np.array([np.mean(some) for some in found.values()])


def within_layers(part: pd.DataFrame) -> Float[np.ndarray, " fact"]:
    """What each fact has in the correlation of ranks: their mean over facts is Spearman's, its
    mean over layers, orders and groups weighted by facts."""
    products = part.groupby(GROUP, sort=False, group_keys=False)[["effect", "success"]].apply(
        lambda rows: pd.Series(_standard(rows.effect) * _standard(rows.success), rows.index)
    )
    return products.groupby(part.fact).mean().dropna().to_numpy(float)


def _standard(values: "pd.Series[float]") -> Float[np.ndarray, " fact"]:
    ranks = rankdata(values.to_numpy(float))
    spread = ranks.std()
    return (ranks - ranks.mean()) / spread if spread > 0 else np.full(len(ranks), np.nan)


def explained(part: pd.DataFrame) -> tuple[float, float]:
    """The share of the variance of success (within order and group) that layers explain, and the
    share of the variance within layers that the effect explains."""
    cell = part.groupby(["order", "group"]).ngroup().to_numpy()
    group = part.groupby(GROUP).ngroup().to_numpy()
    return _explained(cell, group, part.effect.to_numpy(float), part.success.to_numpy(float))


def _explained(
    cell: np.ndarray, group: np.ndarray, effect: np.ndarray, success: np.ndarray
) -> tuple[float, float]:
    total = (_centred(success, cell) ** 2).sum()
    x, y = _centred(effect, group), _centred(success, group)
    left, spread = (y**2).sum(), (x**2).sum()
    within = (x @ y) ** 2 / spread / left if spread > 0 and left > 0 else 0.0
    return (float(1 - left / total), float(within)) if total > 0 else (0.0, 0.0)


def _centred(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    means = np.bincount(group, values) / np.maximum(np.bincount(group), 1)
    return values - means[group]


def _drawn(part: pd.DataFrame, seed: int) -> Float[np.ndarray, "draw two"]:
    """`explained` of facts drawn with replacement."""
    facts, owner = np.unique(part.fact.to_numpy(str), return_inverse=True)
    rows_of = [np.flatnonzero(owner == n) for n in range(len(facts))]
    cell = part.groupby(["order", "group"]).ngroup().to_numpy()
    group = part.groupby(GROUP).ngroup().to_numpy()
    effect, success = part.effect.to_numpy(float), part.success.to_numpy(float)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        rows = np.concatenate([rows_of[n] for n in draw.integers(len(facts), size=len(facts))])
        found.append(_explained(cell[rows], group[rows], effect[rows], success[rows]))
    return np.array(found)
