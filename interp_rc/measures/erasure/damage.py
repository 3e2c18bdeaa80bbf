"""Every case erased in every way, and what that costs: the table that all is read from."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from tqdm import tqdm

from interp_rc.measures.erasure.ablation import ablate
from interp_rc.measures.erasure.asking import Case, Known, knows, knows_each, scorer
from interp_rc.measures.erasure.descent import descended, mlp_weights
from interp_rc.measures.erasure.overwriting import (
    far_enough,
    key_moments,
    longer,
    overwriting,
)
from interp_rc.models.causality import prove_causal
from interp_rc.models.load import Loaded
from interp_rc.tools.editing.rank_one import edited

Method = Literal["ablation", "gradient", "edit"]
METHODS: tuple[Method, ...] = get_args(Method)
Erased = tuple[Known, float, bool]
"""What is known afterwards; how much it took; and whether the lead fell so far."""


def damage_table(
    model: Loaded, cases: Sequence[Case], texts: Sequence[str], share: float
) -> pd.DataFrame:
    """One row a case, method and role of its questions, each a mean over these.

    `damage` is the lead that was lost [nat], `lead` what there was of it; `lost` is the same of
    the target's log-probability, `elsewhere` of the lead of the erased fact's own answer after
    other facts' prompts (null but for floors). `said_before` and `said` are shares. `dose` is the
    number of neurons, of steps, or times the edit; `reached` whether the lead, where the fact is
    erased, fell by `share`. `texts` are what keys of edits are compared with.

    Every case is erased by itself, in the model as it was. Raises ScoringError for models
    that are not causal, ModelError for a family that no adapter knows or a model behind a soft
    prompt.
    """
    prove_causal(model.model)
    before = knows_each(scorer(model), [case.questions for case in cases])
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(METHODS) * len(cases), desc="facts erased", disable=None) as bar:
        for method in METHODS:
            erased = _erased(model, cases, texts, share, method)
            for case, old, (new, dose, reached) in zip(cases, before, erased, strict=True):
                about: dict[str, Any] = {"fact": case.fact, "order": case.order, "method": method}
                about |= {"dose": dose, "reached": reached}
                rows += (about | row for row in _rows(case, old, new))
                bar.update()
    return pd.DataFrame(rows)


def _erased(
    model: Loaded, cases: Sequence[Case], texts: Sequence[str], share: float, method: Method
) -> Iterator[Erased]:
    if method == "ablation":
        yield from ablate(model, cases, share)
    elif method == "gradient":
        weights = mlp_weights(model)
        for case in cases:
            with descended(model, case, share, weights) as (steps, reached):
                yield knows(scorer(model), case.questions), float(steps), reached
    else:
        moments = key_moments(model, texts)
        # In each order in a layer of its own: cases come order by order.
        orders = dict.fromkeys(case.order for case in cases)
        mine = [[case for case in cases if case.order == order] for order in orders]
        edits = [edit for some in mine for edit in overwriting(model, some, moments)]
        for case, edit in zip([case for some in mine for case in some], edits, strict=True):
            length, reached = far_enough(model, case, edit, share)
            with edited(model, [longer(edit, length)]):
                known = knows(scorer(model), case.questions)
            yield known, length, reached


def _rows(case: Case, old: Known, new: Known) -> Iterator[dict[str, Any]]:
    roles = np.array([one.role for one in case.questions])
    for role in dict.fromkeys(roles.tolist()):
        mine = roles == role
        then, now = (Known(*(column[mine] for column in one)) for one in (old, new))
        yield {
            "role": role,
            "lead": then.lead.mean(),
            "damage": (then.lead - now.lead).mean(),
            "lost": (then.log_prob - now.log_prob).mean(),
            "elsewhere": (then.visiting - now.visiting).mean(),
            "said_before": then.said.mean(),
            "said": now.said.mean(),
        }
