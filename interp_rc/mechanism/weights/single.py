"""One site at a time: the finetuned model's weights put into the base, and the other way round."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.mechanism.weights.asking import Asking, Question
from interp_rc.mechanism.weights.pair import ACTS, Act, Pair
from interp_rc.mechanism.weights.sites import WeightSite, component_of
from interp_rc.models.load import Loaded

Values = Float[Tensor, " question"]


class Ends(NamedTuple):
    """What the two models say as they are."""

    base: Values
    finetuned: Values

    def begins(self, act: Act) -> Values:
        """What the model says that is changed, before it is."""
        return self.base if act == "given" else self.finetuned


def ends(pair: Pair, asking: Asking) -> Ends:
    """Nothing is moved."""
    found = []
    for act in ACTS:
        with pair.moved(act, ()) as adapter:
            found.append(asking.log_probs(adapter))
    return Ends(*found)


def value_of(pair: Pair, act: Act, sites: Collection[WeightSite], asking: Asking) -> Values:
    """Log-probabilities [nat] while these sites are moved."""
    with pair.moved(act, sites) as adapter:
        return asking.log_probs(adapter)


def single_effects(
    pair: Pair, loaded: Loaded, sites: Sequence[WeightSite], questions: Sequence[Question]
) -> pd.DataFrame:
    """One row a site, act and question, and one more (`of` other) for the other fact's answer.

    `value` is the log-probability [nat] with the site moved, `effect` what it gained over the model
    that is changed, `recovered` its share of `whole`, finetuned less base: 1 is a site that is
    enough, and, of what is taken, -1 one without which nothing is left. Tokens are `loaded`'s.
    """
    rows: list[dict[str, Any]] = []
    askings = {
        of: (some, Asking(loaded, [q.prompt for q in some], [t for _, t in asked]))
        for of, asked in _asked(questions).items()
        if (some := [q for q, _ in asked])
    }
    known = {of: ends(pair, asking) for of, (_, asking) in askings.items()}
    with tqdm(total=len(ACTS) * len(sites), desc="weights moved", disable=None) as bar:
        for act in ACTS:
            for site in sites:
                about = {
                    "site": site.name,
                    "layer": site.layer,
                    "component": component_of(pair.adapter(act), site),
                    "act": act,
                }
                for of, (some, asking) in askings.items():
                    values = value_of(pair, act, [site], asking)
                    rows += (
                        {**about, "of": of, **row} for row in _rows(some, values, known[of], act)
                    )
                bar.update()
    return pd.DataFrame(rows).astype({"layer": "Int64", "recovered": float})


def _asked(questions: Sequence[Question]) -> dict[str, list[tuple[Question, str]]]:
    return {
        "target": [(q, q.target) for q in questions],
        "other": [(q, q.other) for q in questions if q.other is not None],
    }


def _rows(
    questions: Sequence[Question], values: Values, known: Ends, act: Act
) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(questions):
        value, begin = float(values[number]), float(known.begins(act)[number])
        whole = float(known.finetuned[number] - known.base[number])
        yield {
            "query": one.query,
            "fact": one.fact,
            "order": one.order,
            "subset": one.subset,
            "direction": one.direction,
            "value": value,
            "effect": value - begin,
            "recovered": (value - begin) / whole if whole else None,
            "whole": whole,
        }
