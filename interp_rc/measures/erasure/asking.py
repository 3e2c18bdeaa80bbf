"""What is asked about a fact before and after it is erased in one order, and what a model knows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from interp_rc.evaluation.queries import OTHER_ORDER, Queries
from interp_rc.facts.contrasts import contrasts_about
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Order, Query
from interp_rc.records.seeds import generator

Role = Literal["erasing", "own", "cross", "own_floor", "cross_floor"]
Templates = Mapping[Order, tuple[Sequence[str], Sequence[str]]]
"""In each order, the templates that facts are erased in, and those that they are asked in."""
Score = Callable[
    [Sequence[str], Sequence[str]], tuple[Float[np.ndarray, " item"], Bool[np.ndarray, " item"]]
]
"""Of prompts and targets the log-probability [nat], and whether the target would be said."""

COMPANY = 3  # other facts: the floor, and those whose answers stand beside the right one
FEWEST = 4  # facts: the erased one, its partner, and two others


class Question(NamedTuple):
    """A query of the fact or, as a floor, of another one, with other facts' answers in the same
    template (`foils`); `visitor` is the erased fact's own answer, after another fact's prompt."""

    role: Role
    query: Query
    foils: tuple[str, ...]
    visitor: str | None = None

    @property
    def targets(self) -> list[str]:
        """The right one, the foils, and the visitor where there is one."""
        return [self.query.target, *self.foils, *([self.visitor] if self.visitor else [])]


class Case(NamedTuple):
    """A fact to be erased in one order, and all that is asked about it. `contrasts` set it against
    one other fact, its partner, in the templates it is erased in. That one is not asked about, and
    the foils where a fact is erased are not those that it is measured with, as far as there are
    facts enough: erasing may make its own foils likelier."""

    fact: str
    order: Order
    questions: list[Question]
    contrasts: list[Contrast]

    def of(self, role: Role) -> list[Question]:
        return [one for one in self.questions if one.role == role]


class Known(NamedTuple):
    """What a model knows of each question.

    `lead` is the log-probability of the right target over the mean of those of the foils [nat]:
    about zero where the model does not know the fact, so that it says how much of it is left.
    Where targets are one token it is a difference of logits, in which what several parts of the
    network bring adds up, as it does not in `log_prob` (of the right target [nat]). `visiting` is
    the lead of the visitor [nat], NaN without one; `said` whether the right target would be said.
    """

    lead: Float[np.ndarray, " question"]
    log_prob: Float[np.ndarray, " question"]
    visiting: Float[np.ndarray, " question"]
    said: Bool[np.ndarray, " question"]


def cases(
    queries: Sequence[Query],
    facts: Sequence[str],
    order: Order,
    templates: Templates,
    seed: int,
    most: int | None = None,
) -> list[Case]:
    """The first facts of one group (`most` of them), each to be erased in `order`.

    `own` asks in that order and `cross` in the other, in templates that nothing is erased in;
    floors ask the same about other facts, drawn from all those given. Raises DataError for fewer
    than four facts, or a fact that is not asked in one of the templates.
    """
    if len(facts) < FEWEST:
        raise DataError(
            f"to erase one fact beside others takes {FEWEST} of a group, found {len(facts)}; "
            "add facts"
        )
    known = Queries(queries)
    other = OTHER_ORDER[order]
    asked: dict[Role, tuple[Order, Sequence[str]]] = {
        "erasing": (order, templates[order][0]),
        "own": (order, templates[order][1]),
        "cross": (other, templates[other][1]),
    }
    found = []
    for fact in facts[:most]:
        rest = [one for one in facts if one != fact]
        partner, *drawn = generator(seed, "company", fact).sample(rest, len(rest))
        company, against = drawn[:COMPANY], drawn[COMPANY : 2 * COMPANY] or drawn
        questions = []
        for role, (said, some) in asked.items():
            beside = against if role == "erasing" else company
            for template in some:
                own, *theirs = (known.about(one, said, template) for one in (fact, *beside))
                questions.append(Question(role, own, _foils(own, theirs)))
                if role != "erasing":
                    floor: Role = "own_floor" if role == "own" else "cross_floor"
                    questions += [
                        Question(floor, one, _foils(one, theirs, own), own.target) for one in theirs
                    ]
        both = [
            known.about(one, order, name) for name in templates[order][0] for one in (fact, partner)
        ]
        found.append(Case(fact, order, questions, contrasts_about(both, {fact: partner})))
    return found


def _foils(query: Query, others: Sequence[Query], erased: Query | None = None) -> tuple[str, ...]:
    """Other facts' answers, without the right one and the one that is erased."""
    left_out = {query.target, erased.target if erased else None}
    found = tuple(dict.fromkeys(q.target for q in others if q.target not in left_out))
    if not found:
        raise DataError(f"query {query.id} has no other fact's answer to compare with; add facts")
    return found


def scorer(model: Loaded) -> Score:
    """Of a model as it is."""

    def scored(prompts: Sequence[str], targets: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        found = score(model.model, model.tokenizer, prompts, targets)
        return found.log_prob.numpy(), found.greedy.numpy()

    return scored


def items_of(questions: Sequence[Question]) -> tuple[list[str], list[str]]:
    """Prompts and targets, those of one question after those of another."""
    prompts = [one.query.prompt for one in questions for _ in one.targets]
    return prompts, [target for one in questions for target in one.targets]


def knows(scored: Score, questions: Sequence[Question]) -> Known:
    """Raises what `score` raises."""
    values, said = scored(*items_of(questions))
    rows, at = [], 0
    for one in questions:
        own, foils = values[at], values[at + 1 : at + 1 + len(one.foils)].mean()
        visiting = values[at + 1 + len(one.foils)] - foils if one.visitor else np.nan
        rows.append((own - foils, own, visiting, bool(said[at])))
        at += len(one.targets)
    return Known(*(np.array(column) for column in zip(*rows, strict=True)))


def knows_each(scored: Score, asked: Sequence[Sequence[Question]]) -> list[Known]:
    """Of the questions of each case, all scored together."""
    whole, found, at = knows(scored, [one for some in asked for one in some]), [], 0
    for some in asked:
        found.append(Known(*(column[at : at + len(some)] for column in whole)))
        at += len(some)
    return found
