"""One site at a time: the finetuned model's weights put into the base, and the other way round."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from interp_rc.measures.transplant.asking import Asking, Metric, Said
from interp_rc.measures.transplant.pair import ACTS, Act, Pair
from interp_rc.records.nouns import Contrast
from interp_rc.tools.weights.sites import WeightSite, component_of


class Ends(NamedTuple):
    """What the two models say as they are."""

    base: Said
    finetuned: Said

    def begins(self, act: Act) -> Said:
        """What the model says that is changed, before it is."""
        return self.base if act == "given" else self.finetuned


def ends(pair: Pair, asking: Asking) -> Ends:
    """Nothing is moved."""
    return Ends(*(said(pair, act, (), asking) for act in ACTS))


def said(pair: Pair, act: Act, sites: Collection[WeightSite], asking: Asking) -> Said:
    """While these sites are moved."""
    with pair.moved(act, sites) as adapter:
        return asking.said(adapter)


def single_effects(
    pair: Pair, sites: Sequence[WeightSite], asking: Asking, acts: Sequence[Act] = ACTS
) -> pd.DataFrame:
    """One row a site, act, contrast and metric.

    The `metric` is `answer`, the log-probability of the target; `fact`, the same less that of the
    target after another fact's prompt: to make all answers of a kind likely is not to know which is
    whose; or `lead`, if foils are asked: the same less that of another fact's answer after the own
    prompt. What is taken is to be judged by the lead: the answers of a finetuned model are nearly
    certain, and `fact` rises when they become less likely after other prompts. `value` [nat] has
    the site moved, `effect` is what that gained over the model that is changed, `recovered` its
    share of `whole`, finetuned less base: 1 is a site that is enough, and, of what is taken, -1 one
    without which nothing is left.
    """
    rows: list[dict[str, Any]] = []
    known = ends(pair, asking)
    with tqdm(total=len(acts) * len(sites), desc="weights moved", disable=None) as bar:
        for act in acts:
            for site in sites:
                about = {
                    "site": site.name,
                    "layer": site.layer,
                    "component": component_of(pair.adapter(act), site),
                    "act": act,
                }
                found = said(pair, act, [site], asking)
                shown = _rows(asking.contrasts, found, known, act, asking.metrics)
                rows += ({**about, **row} for row in shown)
                bar.update()
    return pd.DataFrame(rows).astype({"layer": "Int64", "recovered": float})


def about(contrast: Contrast) -> dict[str, Any]:
    """The columns that say what is asked."""
    return {
        "query": contrast.query or contrast.id,
        "fact": contrast.fact,
        "order": contrast.order,
        "group": contrast.group,
        "direction": contrast.direction,
    }


def _rows(
    contrasts: Sequence[Contrast], found: Said, known: Ends, act: Act, metrics: Sequence[Metric]
) -> Iterator[dict[str, Any]]:
    for metric in metrics:
        begins = known.begins(act).of(metric)
        wholes = known.finetuned.of(metric) - known.base.of(metric)
        columns = (one.tolist() for one in (found.of(metric), begins, wholes))
        for contrast, value, begin, whole in zip(contrasts, *columns, strict=True):
            effect = value - begin
            yield about(contrast) | {
                "metric": metric,
                "value": value,
                "effect": effect,
                "recovered": effect / whole if whole else None,
                "whole": whole,
            }
