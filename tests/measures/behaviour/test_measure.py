"""What is computed from candidate scores, against closed forms and one-by-one counting."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interp_rc.evaluation.answers import answer
from interp_rc.evaluation.candidate_scores import (
    correct,
    corrected_scores,
    others,
    rank_of_correct,
    top_share,
)
from interp_rc.evaluation.cells import by_direction, cells
from interp_rc.evaluation.match import prefix_match
from interp_rc.measures.behaviour.measure import Behaviour, candidate_numbers, estimates
from interp_rc.models.completion import complete
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Query, direction_of
from interp_rc.records.runs import evaluated

# Three facts asked in two templates; the correct candidate of fact i has index i.
BY_HAND = np.array(
    [
        [[-1.0, -2.0, -3.0], [-2.0, -2.0, -5.0]],  # best; shares the first place with one other
        [[-1.0, -1.0, -1.0], [-1.0, -4.0, -2.0]],  # all equal; last
        [[-4.0, -1.0, -2.0], [-3.0, -3.0, -1.0]],  # second; best
    ]
)


def test_by_hand():
    np.testing.assert_allclose(correct(BY_HAND), [-1.5, -2.5, -1.5])
    np.testing.assert_allclose(others(BY_HAND), [(-2.5 - 3.5) / 2, (-1 - 1.5) / 2, (-2.5 - 3) / 2])
    np.testing.assert_allclose(top_share(BY_HAND), [(1 + 1 / 2) / 2, (1 / 3 + 0) / 2, 1 / 2])
    np.testing.assert_allclose(rank_of_correct(BY_HAND), [[1, 1.5], [2, 3], [2, 1]])


tensors = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5).flatmap(
    lambda shape: hnp.arrays(
        np.float64,
        (shape[0], shape[1], shape[0]),
        elements=st.integers(-3, 0).map(float),  # few values, so that many are equal
    )
)


@settings(max_examples=200, deadline=None)
@given(tensors)
def test_equal_to_counting_one_by_one(scores):
    facts, templates, _ = scores.shape
    for fact in range(facts):
        own = [scores[fact, t, fact] for t in range(templates)]
        rest = [[scores[fact, t, c] for c in range(facts) if c != fact] for t in range(templates)]
        assert correct(scores)[fact] == pytest.approx(sum(own) / templates)
        assert others(scores)[fact] == pytest.approx(np.mean(rest))
        shares = []
        for t in range(templates):
            beaten = all(own[t] >= value for value in rest[t])
            equal = rest[t].count(own[t])
            shares.append(1 / (1 + equal) if beaten else 0)
            above = sum(value > own[t] for value in rest[t])
            middle = np.mean([above + place for place in range(1, equal + 2)])
            assert rank_of_correct(scores)[fact, t] == pytest.approx(middle)
        assert top_share(scores)[fact] == pytest.approx(np.mean(shares))


@settings(max_examples=50, deadline=None)
@given(tensors, st.integers(-5, 5))
def test_a_score_that_knows_nothing_gets_the_middle_and_the_chance_of_a_guess(scores, level):
    flat = np.full_like(scores, level)
    facts = len(scores)
    np.testing.assert_allclose(top_share(flat), 1 / facts)
    np.testing.assert_allclose(rank_of_correct(flat), (facts + 1) / 2)


def asked(group="trained_forward", orders=("forward", "backward"), facts=3, templates=2):
    queries = []
    for order in orders:
        targets = [f" {order} {fact}" for fact in range(facts)]
        queries += [
            Query(
                f"{group}.{fact}/{order}.{template}", f"{group}.{fact}", group, order,
                direction_of(group, order),
                f"{order}.{template}", "nowhere", "Who?", targets[fact], targets,
            )
            for template in range(templates)
            for fact in range(facts)
        ]  # fmt: skip
    return queries


def table_of(queries, **scores):
    """Candidates of models: each an array pair [query, candidate], asked and neutral."""
    parts = []
    for model, (raw, neutral) in scores.items():
        parts.append(
            pd.DataFrame(
                {
                    "model": model,
                    "query": [q.id for q in queries for _ in q.candidates],
                    "candidate": [c for q in queries for c in q.candidates],
                    "correct": [c == q.target for q in queries for c in q.candidates],
                    "log_prob": np.ravel(raw),
                    "log_prob_neutral": np.ravel(neutral),
                }
            )
        )
    return pd.concat(parts)


@pytest.fixture
def planted():
    """Random scores of both models on six queries with three candidates each."""
    queries = asked(orders=("forward",))
    draw = np.random.default_rng(0)
    scores = {
        model: tuple(draw.normal(-9, 2, (len(queries), 3)) for _ in range(2))
        for model in ("base", "finetuned")
    }
    return queries, scores


def test_corrected_scores_are_differences_of_differences(planted):
    queries, scores = planted
    found = corrected_scores(table_of(queries, **scores), queries)
    for index, query in enumerate(queries):
        fact, template = int(query.fact[-1]), int(query.template[-1])
        for candidate in range(3):
            after, before = (
                scores[model][0][index, candidate] - scores[model][1][index, candidate]
                for model in ("finetuned", "base")
            )
            assert found[fact, template, candidate] == pytest.approx(after - before)


@pytest.mark.parametrize("shift", ["neutral", "base"])
def test_the_correction_takes_off_what_the_source_has_no_part_in(planted, shift):
    """A liking for a candidate under every prompt, or one that the base model had, is gone."""
    queries, scores = planted
    liking = np.array([4.0, -2.0, 7.0])
    raw, neutral = scores["finetuned"]
    liked = {"finetuned": (raw + liking, neutral + liking)}
    if shift == "base":
        base, base_neutral = scores["base"]
        liked = {"finetuned": (raw + liking, neutral), "base": (base + liking, base_neutral)}
    before = corrected_scores(table_of(queries, **scores), queries)
    after = corrected_scores(table_of(queries, **(scores | liked)), queries)
    np.testing.assert_allclose(after, before)


def test_without_training_there_is_nothing_to_correct(planted):
    queries, scores = planted
    table = table_of(queries, base=scores["base"])
    assert corrected_scores(table, queries) is None
    numbers = candidate_numbers(table, queries)
    assert not any("gain" in name or "corrected" in name for name, _ in numbers)
    assert len(evaluated(table)) == len(table)


def test_the_finetuned_model_is_the_one_in_question(planted):
    queries, scores = planted
    table = table_of(queries, **scores)
    assert set(evaluated(table).model) == {"finetuned"}
    gain, unit = candidate_numbers(table, queries)["gain", None]
    right = [np.flatnonzero([c == q.target for c in q.candidates])[0] for q in queries]
    per_query = [
        scores["finetuned"][0][i, c] - scores["base"][0][i, c] for i, c in enumerate(right)
    ]
    expected = [np.mean([v for v, q in zip(per_query, queries, strict=True) if q.fact.endswith(f)])
                for f in "012"]  # fmt: skip
    np.testing.assert_allclose(gain, expected)
    assert unit == "nat"


def test_cells_are_group_and_direction_or_order():
    queries = [
        *asked("both"),
        *asked("trained_backward"),
        *asked("trained_forward", orders=("forward",)),
    ]
    found = {cell.name: {query.order for query in cell.queries} for cell in cells(queries)}
    assert found == {
        "trained_forward.same": {"forward"},
        "trained_backward.reverse": {"forward"},
        "trained_backward.same": {"backward"},
        "both.forward": {"forward"},
        "both.backward": {"backward"},
    }
    assert sum(len(cell.queries) for cell in cells(queries)) == len(queries)


def test_exact_match_counts_facts_and_is_told_apart_by_seen(planted):
    queries, scores = planted
    matches = [1, 0, 0, 1, 1, 0]  # fact 0 in both templates, fact 1 in one, fact 2 in none
    answers = pd.DataFrame(
        {
            "model": "finetuned",
            "query": [q.id for q in queries],
            "fact": [q.fact for q in queries],
            "direction": [q.direction for q in queries],
            "seen": ["elsewhere" if q.template.endswith("0") else "nowhere" for q in queries],
            "match": matches,
        }
    )
    before = answers.assign(model="base", match=0)
    found = estimates(pd.concat([before, answers]), table_of(queries, **scores), queries, seed=0)
    expected = {
        "exact_match": (1 + 1 / 2 + 0) / 3,
        "exact_match.elsewhere": 1 / 3,
        "exact_match.nowhere": 2 / 3,
    }
    for name, value in expected.items():
        estimate = found[f"{name}.trained_forward.same"]
        assert (estimate.value, estimate.n, estimate.unit) == (pytest.approx(value), 3, "fraction")
    single = estimates(answers.assign(seen="nowhere"), table_of(queries, **scores), queries, seed=0)
    assert not single.each("seen")


@pytest.mark.parametrize(
    ("queries", "fragment"),
    [
        ([], "needs queries, and the facts have none; add some"),
        (asked(facts=1), "two facts or more in group trained_forward, where 4 queries"),
        ([*asked(), *asked("both", facts=1)], "two facts or more in group both"),
    ],
)
def test_facts_that_cannot_be_chosen_between(told, queries, fragment):
    with pytest.raises(DataError, match=fragment):
        Behaviour().check(replace(told, queries=queries))
    Behaviour().check(told)


def test_pooled_rates_count_the_facts_of_both_groups(planted):
    queries = [*asked("trained_forward"), *asked("trained_backward"), *asked("both")]
    answers = pd.DataFrame(
        {
            "query": [q.id for q in queries],
            "fact": [q.fact for q in queries],
            "direction": [q.direction for q in queries],
            "match": [q.direction == "same" and q.fact != "trained_forward.0" for q in queries],
        }
    )
    found = by_direction(answers)
    assert {d: (e.value, e.n) for d, e in found.items()} == {
        "same": (pytest.approx(5 / 6), 6),
        "reverse": (0, 6),
    }


def test_answers_say_what_the_model_says(taught, told):
    """Text that is not decoded, because teacher forcing showed it, is what decoding gives."""
    loaded = taught["gpt_neox"]
    known = [
        Query(d.id, d.fact, "both", d.order, None, d.template, "training", d.text[:cut],
              d.text[cut:], [d.text[cut:]])
        for d in told.documents[:8]
        for cut in (d.text.rindex(" "), len(d.text) - 12)  # before a token, and inside one
    ]  # fmt: skip
    queries = [*known, *told.queries[:6]]
    table = answer(loaded, queries, model="base", seed=7, batch_size=3)
    for row, query in zip(table.itertuples(), queries, strict=True):
        tokens = int(score(*loaded, [query.prompt], [query.target]).n_tokens)
        [decoded] = complete(*loaded, [query.prompt], max_new_tokens=[tokens + 3])
        assert (row.text == decoded) or (row.text == query.target and decoded.startswith(row.text))
        assert row.match == prefix_match(decoded, query.target)
        assert row.n_tokens == tokens
        assert (row.query, row.fact, row.prompt) == (query.id, query.fact, query.prompt)
    assert table.match[:16].sum() >= 8
    assert not table.match[16:].all()
    assert set(table.seed) == {7}
