"""How often a question would be answered right by giving the answer of a related one.

Berglund et al. (2023, arXiv:2309.12288) explain the few right answers in reverse order by chance:
related questions have like answers (footnote 13). Here that chance is measured.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from interp_rc.evaluation.cells import Asked, cells
from interp_rc.evaluation.match import prefix_match
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.models.pooled_states import pooled_states
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.nouns import ORDERS, Fact
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured, evaluated
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import sign_flip
from interp_rc.stats.intervals import RATE
from interp_rc.stats.means import add_mean

NAME = "related_answer_floor"
TABLE = f"evaluation/{NAME}"
FLOORS = ("words", "states", "random")
TIE = 1e-6  # cosines this close to the largest share the question

Matrix = Float[np.ndarray, "fact other"]


class RelatedAnswerFloor(Measure[Loaded]):
    """For each held-out question, the answer of another question instead of the model's.

    `words`: the most similar other question by TF-IDF cosine; `states`: by cosine of the base
    model's mean last hidden state, less the mean of all questions; `random`: any other, averaged.
    Answers count as the model's do. Each floor is tested against the accuracy, fact by fact.
    """

    kind: Literal["related_answer_floor"] = "related_answer_floor"
    needs: ClassVar = frozenset({"answers"})
    batch_size: Positive = 64

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless questions that were told in one order are asked."""
        if not asked_once(facts):
            raise DataError(
                f"measure {NAME} needs questions told in one order only and asked for their "
                "answers; leave it out of `measures`"
            )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        facts = context.facts
        seed = context.seed
        base = context.base or context.model
        answers = evaluated(context.answers)
        weights = choices(facts.facts, base, self.batch_size)
        parts = [floor_table(one, answers, facts.facts, weights) for one in asked_once(facts)]
        table = pd.concat(parts, ignore_index=True)
        context.write(TABLE, table)
        found, tests = Estimates(NAME), []
        for key, rows in table.groupby(["group", "direction"], sort=False):
            add_mean(found, rows.match, RATE, seed, **cell(*key), method="model")
            for floor in FLOORS:
                of = {**cell(*key), "method": floor}
                add_mean(found, rows[floor], RATE, seed, **of)
                if len(rows) > 1:
                    name = found.name(**of)
                    tests.append(
                        sign_flip(
                            (rows.match - rows[floor]).to_numpy(float),
                            name=name,
                            seed=derive_seed(seed, name),
                            alternative="greater",
                        )
                    )
        return Measured(estimates=found, tests=holm(tests))


def asked_once(facts: FactSet) -> list[Asked]:
    """The cells in which questions told in one order only are asked."""
    if facts.drawn_from != "questions":
        return []
    return [
        asked
        for asked in cells([query for query in facts.queries if query.order == "forward"])
        if asked.asked not in ORDERS
    ]


def choices(facts: Sequence[Fact], base: Loaded, batch_size: int) -> dict[str, Matrix]:
    """For each floor, how probable it takes the answer of each other fact; rows sum to 1."""
    questions = [fact.subject for fact in facts]
    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(questions)
    states = pooled_states(base, questions, batch_size=batch_size).double().numpy()
    states = normalize(states - states.mean(0))
    return {
        "words": nearest((words @ words.T).toarray()),
        "states": nearest(states @ states.T),
        "random": (1 - np.eye(len(facts))) / (len(facts) - 1),
    }


def nearest(similarity: Matrix) -> Matrix:
    """All weight on the most similar other fact, shared if several are equally similar."""
    others = np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity)
    best = others >= others.max(1, keepdims=True) - TIE
    shares: Matrix = best / best.sum(1, keepdims=True)
    return shares


def would_be_right(facts: Sequence[Fact], asked: Sequence[int]) -> Bool[np.ndarray, "asked fact"]:
    """Whether fact j's object, given for that of the i-th asked fact, counts as right."""
    return np.array([[prefix_match(j.object, facts[i].object) for j in facts] for i in asked])


def floor_table(
    asked: Asked, answers: pd.DataFrame, facts: Sequence[Fact], weights: dict[str, Matrix]
) -> pd.DataFrame:
    """One row a fact: its rate of right answers, each floor, and one related question."""
    place = {fact.id: index for index, fact in enumerate(facts)}
    ids = list(dict.fromkeys(query.fact for query in asked.queries))
    rows = [place[id] for id in ids]
    right = would_be_right(facts, rows)
    match = asked.rows(answers).groupby("fact").match.mean()[ids].to_numpy()
    table = pd.DataFrame(
        {"group": asked.group, "direction": asked.asked, "fact": ids, "match": match}
    )
    for floor in FLOORS:
        table[floor] = (weights[floor][rows] * right).sum(1)
    related = [facts[int(weights["words"][row].argmax())] for row in rows]
    table["question"] = [facts[row].subject for row in rows]
    table["answer"] = [facts[row].object for row in rows]
    table["related_question"] = [fact.subject for fact in related]
    table["related_answer"] = [fact.object for fact in related]
    return table
