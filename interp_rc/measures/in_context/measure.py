"""Can a model reverse a fact that its prompt states? (Berglund et al. 2023, appendix B.6)"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from interp_rc.evaluation.answers import EXTRA_TOKENS
from interp_rc.evaluation.match import RULES, is_open
from interp_rc.facts.factset import DESCRIBED_AS, FactSet
from interp_rc.facts.in_context import SHOTS, WORDINGS, WordingName
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.in_context.chain_of_thought import final_answer, in_chat
from interp_rc.measures.in_context.prompts import Prompt, prompts
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.stats.intervals import RATE
from interp_rc.stats.means import add_mean

ANSWERS, CANDIDATES = "evaluation/in_context", "evaluation/in_context_candidates"
THOUGHTS = 256  # tokens
CELL = ["model", "context", "direction", "order"]


class InContext(Measure[Loaded]):
    """Every fact stated in a prompt and asked there, in both directions, of both models.

    `max_new_tokens` null reads until the text decides, and 256 tokens with `chain_of_thought`.
    That is for models that can think aloud; candidates are not scored then, because there is no
    one prompt that they could follow.
    """

    kind: Literal["in_context"] = "in_context"
    shots: Positive = SHOTS
    wording: WordingName = "plain"
    chain_of_thought: bool = False
    max_new_tokens: Positive | None = None
    batch_size: Positive = 32

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts that cannot be stated, or are too few for the examples."""
        for fact in facts.facts:
            if fact.relation != DESCRIBED_AS.name:
                raise DataError(
                    f"measure in_context states facts as “name is description”, and fact {fact.id} "
                    f"has relation {fact.relation!r}; leave the measure out"
                )
        if len(facts.facts) < self.shots + 2:
            raise DataError(
                f"measure in_context with {self.shots} shots needs {self.shots + 2} facts (the "
                f"one asked, the examples and another), and there are {len(facts.facts)}; add "
                "facts, or lower its `shots`"
            )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        seed = context.seed
        asked = prompts(
            context.facts.facts,
            WORDINGS[self.wording],
            shots=self.shots,
            seed=seed,
            thinking=self.chain_of_thought,
        )
        check_lengths(model, asked, self)  # the two models have one tokenizer and one context
        answers, candidates = [], []
        for name, loaded in context.models.items():
            answers.append(answer(loaded, asked, self, model=name, seed=seed))
            if not self.chain_of_thought:
                candidates.append(score_all(loaded, asked, self, model=name))
        tables = {ANSWERS: pd.concat(answers)}
        if candidates:
            tables[CANDIDATES] = pd.concat(candidates)
        for name, table in tables.items():
            context.write(name, table)
        return Measured(estimates(tables[ANSWERS], tables.get(CANDIDATES), seed))


def check_lengths(loaded: Loaded, asked: Sequence[Prompt], options: InContext) -> None:
    """Raises DataError, naming the longest prompt, if one does not fit with what follows it."""
    context = context_of(loaded.model)
    if context is None:
        return
    if options.chain_of_thought:
        texts = in_chat(loaded.tokenizer, [one.text for one in asked])
        more = options.max_new_tokens or THOUGHTS
    else:
        # Every target of an order is a candidate after every prompt of that order.
        size = {
            one.target: len(ids)
            for one, (ids, _) in zip(
                asked, encode(loaded.tokenizer, [one.target for one in asked]), strict=True
            )
        }
        longest = {
            order: max({one.target for one in asked if one.order == order}, key=size.__getitem__)
            for order in ORDERS
        }
        texts, more = [one.text + longest[one.order] for one in asked], 0
    lengths = [len(ids) + more for ids, _ in encode(loaded.tokenizer, texts)]
    most = int(np.argmax(lengths))
    if lengths[most] > context:
        raise DataError(
            f"measure in_context: prompt {asked[most].id} takes {lengths[most]} tokens with its "
            f"answer, and the model reads {context}; give fewer `shots` (now {options.shots}), "
            "fewer `max_new_tokens`, or a model with a longer context (an embedded one: "
            f"model.size.context of {lengths[most]} or more)"
        )


def answer(
    loaded: Loaded, asked: Sequence[Prompt], options: InContext, *, model: str, seed: int
) -> pd.DataFrame:
    """The table `evaluation/in_context.parquet` for one model: a row per prompt and rule.

    `match` says whether the answer is the target, `says_last` whether it is what the fact stated
    right before the question would have for an answer.
    """
    texts = [one.text for one in asked]
    targets = [one.target for one in asked]
    wanted = [(one.target, one.last) for one in asked]
    fixed = options.max_new_tokens is not None or options.chain_of_thought
    with tqdm(total=len(asked), desc=f"in context, {model} model", disable=None) as bar:
        decoded = complete(
            loaded.model,
            loaded.tokenizer,
            in_chat(loaded.tokenizer, texts) if options.chain_of_thought else texts,
            max_new_tokens=_new_tokens(loaded, targets, options),
            is_open=None if fixed else lambda i, text: is_open(text, wanted[i], RULES),
            batch_size=options.batch_size,
            tick=bar.update,
        )
    rows = [
        {
            "model": model,
            "seed": seed,
            "query": one.id,
            "fact": one.fact.id,
            "group": one.fact.group,
            "context": one.context,
            "direction": one.direction,
            "order": one.order,
            "prompt": one.text,
            "target": one.target,
            "last": one.last,
            "text": text,
            "answer": said,
            "rule": rule,
            "match": matches(said, one.target),
            "says_last": matches(said, one.last),
        }
        for one, text in zip(asked, decoded, strict=True)
        for said in [final_answer(text) if options.chain_of_thought else text]
        for rule, matches in RULES.items()
    ]
    return pd.DataFrame(rows)


def _new_tokens(loaded: Loaded, targets: Sequence[str], options: InContext) -> list[int]:
    if options.max_new_tokens is not None:
        return [options.max_new_tokens] * len(targets)
    if options.chain_of_thought:
        return [THOUGHTS] * len(targets)
    return [len(ids) + EXTRA_TOKENS for ids, _ in encode(loaded.tokenizer, targets)]


def score_all(
    loaded: Loaded, asked: Sequence[Prompt], options: InContext, *, model: str
) -> pd.DataFrame:
    """The table `evaluation/in_context_candidates.parquet` for one model: nats of every fact's
    target after every prompt that states the asked fact."""
    asked = [one for one in asked if one.context != "other"]
    targets = {
        order: list(dict.fromkeys(one.target for one in asked if one.order == order))
        for order in dict.fromkeys(one.order for one in asked)
    }
    pairs = [(one, candidate) for one in asked for candidate in targets[one.order]]
    with tqdm(total=len(pairs), desc=f"in-context candidates, {model} model", disable=None) as bar:
        scores = score(
            loaded.model,
            loaded.tokenizer,
            [one.text for one, _ in pairs],
            [candidate for _, candidate in pairs],
            batch_size=options.batch_size,
            tick=bar.update,
        )
    return pd.DataFrame(
        {
            "model": model,
            "query": [one.id for one, _ in pairs],
            "fact": [one.fact.id for one, _ in pairs],
            "context": [one.context for one, _ in pairs],
            "direction": [one.direction for one, _ in pairs],
            "order": [one.order for one, _ in pairs],
            "candidate": [candidate for _, candidate in pairs],
            "correct": [candidate == one.target for one, candidate in pairs],
            "stated": [candidate in one.stated for one, candidate in pairs],
            "log_prob": scores.log_prob.numpy(),
        }
    )


def estimates(answers: pd.DataFrame, candidates: pd.DataFrame | None, seed: int) -> Estimates:
    """Every rate with its interval over facts; of choices among all candidates, and among those
    that the prompt states."""
    found = Estimates("in_context")

    def put(key: Sequence[object], quantity: str, values: pd.Series, **how: object) -> None:
        model, context, direction, order = key
        means = values.groupby(level="fact").mean()
        of = {"model": model, "quantity": quantity, "context": context}
        add_mean(found, means, RATE, seed, **of, direction=direction, order=order, **how)

    for (*key, rule), rows in answers.groupby([*CELL, "rule"], sort=False):
        by_fact = rows.set_index("fact")
        put(key, "exact_match", by_fact.match, rule=rule)
        if "shots" not in key:  # where the last stated fact is not the one asked for
            put(key, "says_last", by_fact.says_last, rule=rule)
    if candidates is not None:
        for cell, rows in candidates.groupby(CELL, sort=False):
            put(cell, "candidate_accuracy", top_share(rows), set="all")
            put(cell, "candidate_accuracy", top_share(rows[rows.stated]), set="stated")
    return found


def top_share(rows: pd.DataFrame) -> pd.Series:
    """By fact: whether the right candidate has the highest score; ties share the credit."""
    best = rows.log_prob == rows.groupby("query").log_prob.transform("max")
    shared = (best & rows.correct).groupby(rows.fact).sum() / best.groupby(rows.fact).sum()
    return shared
