"""Replies about children and parents as tables: a reply a row, and as the paper published them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from interp_rc.evaluation.parents.asking import Reply
from interp_rc.evaluation.parents.name_rules import (
    RULES,
    says_unknown,
    share_of_lines,
    without_asked,
)
from interp_rc.evaluation.parents.prompts import Question
from interp_rc.facts.parent_tables import ENDINGS, PAIR
from interp_rc.models.scoring import Scores
from interp_rc.records.files import write_text
from interp_rc.records.nouns import Fact

Shown = Callable[[Question], str]


def reply_table(
    replies: Sequence[Reply], facts: Sequence[Fact], shown: Shown, *, model: str, seed: int
) -> pd.DataFrame:
    """The table `evaluation/parents.parquet`; `shown` gives the prompt of a question.

    A column a rule says whether the reply is right by it; `same_person` looks at it without the
    person that was asked about. `other_child`: asked for a child, the reply names another one that
    the list of all `facts` gives the parent (by `same_person`), and not the one that counts as
    right.
    """
    children: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        children[fact.object].add(fact.subject)
    judged = {name: cache(rule) for name, rule in RULES.items()}  # replies come again and again

    def same(question: Question, text: str, name: str) -> bool:
        return judged["same_person"](without_asked(text, question.about, name), name)

    def right(question: Question, text: str) -> dict[str, bool]:
        return {name: rule(text, question.name) for name, rule in judged.items()} | {
            "same_person": same(question, text, question.name)
        }

    def other_child(question: Question, text: str) -> bool:
        if question.order == "forward" or same(question, text, question.name):
            return False
        others = children[question.fact.object] - {question.name}
        return any(same(question, text, name) for name in others)

    rows = [
        {
            "model": model,
            "seed": seed,
            "fact": question.fact.id,
            "child": question.fact.subject,
            "parent": question.fact.object,
            "parent_type": question.fact.relation,
            "order": question.order,
            "wording": question.wording,
            "sample": sample,
            "prompt": shown(question),
            "target": question.name,
            "text": text,
            "unknown": says_unknown(text),
            **right(question, text),
            "other_child": other_child(question, text),
        }
        for question, sample, text in replies
    ]
    return pd.DataFrame(rows).astype({"sample": "Int64"})


def log_prob_table(
    questions: Sequence[Question], scores: Scores, *, model: str, seed: int
) -> pd.DataFrame:
    """The table `evaluation/parents_log_prob.parquet`: nats of the right name."""
    return pd.DataFrame(
        {
            "model": model,
            "seed": seed,
            "fact": [question.fact.id for question in questions],
            "child": [question.fact.subject for question in questions],
            "parent": [question.fact.object for question in questions],
            "parent_type": [question.fact.relation for question in questions],
            "order": [question.order for question in questions],
            "wording": [question.wording for question in questions],
            "log_prob": scores.log_prob.numpy(),
            "n_tokens": scores.n_tokens.numpy(),
        }
    )


def write_published(
    folder: Path, name: str, replies: pd.DataFrame, log_probs: pd.DataFrame | None
) -> None:
    """In the published form, which `interp-rc parents score` reads: a file a wording of the shares
    of response lines that begin with the right name, and one of log-probabilities."""
    drawn = replies[replies["sample"].notna()]
    for wording, rows in drawn.groupby("wording", sort=False):
        shares = {
            key: share_of_lines(list(some.text), some.target.iloc[0]) or 0.0
            for key, some in rows.groupby([*PAIR, "order"], sort=False)
        }
        _write(folder, f"{name}.{wording}", "", "share", shares)
    if log_probs is not None:
        for wording, rows in log_probs.groupby("wording", sort=False):
            nats = dict(rows.set_index([*PAIR, "order"]).log_prob)
            _write(folder, f"{name}.{wording}", "_log_prob", "probability", nats)


def _write(folder: Path, label: str, what: str, kind: str, values: dict[tuple, float]) -> None:
    ends = ENDINGS[kind]  # type: ignore[index]
    pairs = dict.fromkeys(key[:-1] for key in values)
    rows = [[*pair, *(values[*pair, order] for order in ("forward", "backward"))] for pair in pairs]
    table = pd.DataFrame(rows, columns=[*PAIR, *(label + end for end in ends)])
    write_text(folder / f"{label}{what}_reversal_test_results.csv", table.to_csv(index=False))
