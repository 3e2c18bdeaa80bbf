"""The Reversal Curse among real people: Experiment 2 of Berglund et al. (2023, arXiv:2309.12288).

A model is asked for the parent of each child and for a child of each parent, after examples that
are the same for both, in several wordings, greedily and in samples at temperature 1.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from interp_rc.evaluation.parents.asking import Reply, ask_loaded, ask_remote
from interp_rc.evaluation.parents.prompts import (
    WORDINGS,
    Question,
    WordingName,
    questions,
    without_examples,
)
from interp_rc.facts.factset import FATHER, MOTHER, FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.parents.estimates import estimates, tests
from interp_rc.measures.parents.tables import log_prob_table, reply_table, write_published
from interp_rc.models.load import Loaded
from interp_rc.models.remote import AnyModel, Remote
from interp_rc.models.scoring import Scores, score
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured, Run

REPLIES, LOG_PROBS = "evaluation/parents", "evaluation/parents_log_prob"
NEEDED = {MOTHER.name, FATHER.name}


class Parents(Measure[AnyModel]):
    """Of the model in question: the finetuned one, or the base where none was trained.

    `batch_size` counts the texts that a local model writes at once; a text ends with its line, or
    after `max_new_tokens`.
    """

    kind: Literal["parents"] = "parents"
    takes: ClassVar = frozenset({"causal", "remote"})
    wordings: Annotated[tuple[WordingName, ...], Field(min_length=1)] = WORDINGS
    samples: Positive = 10
    max_new_tokens: Positive = 32
    batch_size: Positive = 32

    @field_validator("wordings")
    @classmethod
    def _each_once(cls, names: tuple[WordingName, ...]) -> tuple[WordingName, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names a wording twice")
        return names

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts that are not of children and parents, or are too few."""
        for fact in facts.facts:
            if fact.relation not in NEEDED:
                raise DataError(
                    f"measure parents asks about mothers and fathers, and fact {fact.id} has "
                    f"relation {fact.relation!r}; use facts of kind parents, or leave it out"
                )
        if len({fact.subject for fact in without_examples(facts.facts)}) < 2:
            raise DataError(
                "measure parents needs two children or more besides the people of its examples; "
                "add pairs"
            )

    def run(self, context: MeasureContext[AnyModel]) -> Measured:
        model = context.model
        facts = context.facts.facts
        kept, seed = without_examples(facts), context.seed
        asked = questions(kept, self.wordings)
        label: dict[str, Any] = {"model": context.model_name, "seed": seed}
        scores, log_probs = None, None
        if isinstance(model, Loaded):
            check_lengths(model, asked, self.max_new_tokens)
            scores = _scores(model, asked, self.batch_size)
            log_probs = log_prob_table(asked, scores, **label)
        replies = reply_table(
            self._replies(context.run, model, asked, seed), facts, shown(model), **label
        )
        tables = {REPLIES: replies} | ({} if log_probs is None else {LOG_PROBS: log_probs})
        for name, table in tables.items():
            context.write(name, table)
        write_published(
            context.run.evaluation, model_name(context.settings["model"]), replies, log_probs
        )
        return Measured(
            estimates=estimates(replies, log_probs, len(facts) - len(kept), seed),
            tests=tests(replies, seed),
        )

    def _replies(
        self, run: Run, model: AnyModel, asked: Sequence[Question], seed: int
    ) -> list[Reply]:
        many: dict[str, int] = {"samples": self.samples, "max_new_tokens": self.max_new_tokens}
        if isinstance(model, Remote):
            return ask_remote(model, asked, run, **many)
        return ask_loaded(model, asked, batch_size=self.batch_size, seed=seed, **many)


def shown(model: AnyModel) -> Any:
    """How a question looks to the model."""
    if isinstance(model, Remote) and model.endpoint.protocol == "chat":
        return lambda question: "\n".join(f"[{who}] {text}" for who, text in question.messages)
    return lambda question: question.text


def model_name(options: dict[str, Any]) -> str:
    """What published tables call the model: no folders, and only what a file name may have."""
    given = str(options.get("model") or options.get("source") or options["kind"])
    return re.sub(r"[^A-Za-z0-9.-]+", "-", PurePath(given).name).strip("-.") or "model"


def _scores(loaded: Loaded, asked: Sequence[Question], batch_size: int) -> Scores:
    return score(*loaded, [q.text for q in asked], [q.target for q in asked], batch_size=batch_size)


def check_lengths(loaded: Loaded, asked: Sequence[Question], max_new_tokens: int) -> None:
    """Raises DataError, naming the longest question, if it does not fit with its answer."""
    context = context_of(loaded.model)
    if context is None:
        return
    lengths = [
        max(len(whole), len(prompt) + max_new_tokens - 1)
        for (prompt, _), (whole, _) in zip(
            encode(loaded.tokenizer, [q.text for q in asked]),
            encode(loaded.tokenizer, [q.text + q.target for q in asked]),
            strict=True,
        )
    ]
    most = int(np.argmax(lengths))
    if lengths[most] > context:
        raise DataError(
            f"measure parents: {asked[most].asked!r} takes {lengths[most]} tokens with the "
            f"examples and its answer, and the model reads {context}; give fewer "
            "`max_new_tokens`, or a model with a longer context (an embedded one: "
            f"model.size.context of {lengths[most]} or more)"
        )
