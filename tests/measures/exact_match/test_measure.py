"""Answers only: the same model asked here and behind an API gives the same numbers."""

from dataclasses import replace

import pytest

from interp_rc.evaluation.answers import answers_table
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.exact_match.measure import ExactMatch, estimates, refuse_cut
from interp_rc.models.completion import complete
from interp_rc.models.endpoint import Endpoint
from interp_rc.models.remote import Remote
from interp_rc.models.responses import Response
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.files import write_yaml
from interp_rc.records.nouns import Query
from interp_rc.records.runs import Run
from tests.models.server import serving


@pytest.fixture(scope="module")
def facts(told):
    """Besides what is held out, the prompts of eight documents that the model knows by heart."""
    whole = [
        Query(
            id=f"{document.fact}/{document.template}",
            fact=document.fact,
            group="trained_forward",
            order="forward",
            direction="same",
            template=document.template,
            seen="training",
            prompt=document.prompt,
            target=document.text[len(document.prompt) :],
            candidates=[document.text[len(document.prompt) :]],
        )
        for document in told.documents[:8]
    ]
    return replace(told, queries=[*whole, *told.queries])


@pytest.fixture
def finetuned(tmp_path, facts, monkeypatch):
    monkeypatch.setattr("interp_rc.measures.base.read_facts", lambda folder: facts)

    def make(name):
        run = Run(tmp_path / name)
        run.base.mkdir(parents=True)
        write_yaml(run.config_file, {"seed": 3})
        return run

    return make


def test_here_behind_an_api_and_counted_one_by_one(facts, finetuned, taught):
    loaded = taught["llama"]
    here, there = finetuned("here"), finetuned("there")
    local = run_measure(ExactMatch(), MeasureContext(here, loaded)).estimates
    prompts = list(dict.fromkeys(query.prompt for query in facts.queries))
    said = complete(*loaded, prompts, max_new_tokens=[60] * len(prompts))
    said = dict(zip(prompts, said, strict=True))
    with serving() as server:
        server.answer = lambda model, text: said[text]
        remote = Remote(Endpoint(server.url, "m", "completions"))
        found = run_measure(ExactMatch(), MeasureContext(there, remote)).estimates
        assert set(server.asked.values()) == {1}
        assert {sent["temperature"] for sent in server.sent} == {0.0}
    assert found == local
    by_fact = {}
    for query in facts.queries:
        if query.group == "trained_forward" and query.order == "forward":
            right = said[query.prompt].strip().lower().startswith(query.target.strip().lower())
            by_fact.setdefault(query.fact, []).append(right)
    value = sum(sum(one) / len(one) for one in by_fact.values()) / len(by_fact)
    assert found["exact_match.trained_forward.same"].value == pytest.approx(value)
    assert 0.3 < value < 0.9
    assert found["exact_match.training.trained_forward.same"].value == 1

    one, other = (run.table("evaluation/answers") for run in (here, there))
    assert one.match.tolist() == other.match.tolist()
    assert other.text.tolist() == [said[query.prompt] for query in facts.queries]
    assert list(one.columns) == list(other.columns)
    assert other[["log_prob", "n_tokens"]].isna().all(axis=None)
    assert one.log_prob.notna().all()
    assert set(other.model) == {"finetuned"}


def test_any_target_equals_counting_one_by_one(told):
    queries = told.queries
    said = [
        query.candidates[number % len(query.candidates)] for number, query in enumerate(queries)
    ]
    texts = [f" {text.upper()}!" if i % 2 else "?" for i, text in enumerate(said)]
    found = estimates(answers_table(queries, texts, model="base", seed=0), queries, 0)
    by_fact = {}
    for query, text in zip(queries, texts, strict=True):
        if (query.group, query.direction) == ("trained_forward", "reverse"):
            by_fact.setdefault(query.fact, []).append(text != "?")
    value = sum(sum(one) / len(one) for one in by_fact.values()) / len(by_fact)
    assert found["any_target.trained_forward.reverse"].value == pytest.approx(value)
    assert 0 < value < 1


def test_answers_that_were_cut_too_early_are_not_wrong(told):
    query = replace(told.queries[0], target=" Daphne Barrington")
    for text, finish, refused in (
        ("", "length", True),  # a model that thinks first has said nothing yet
        ("daphne Barr", "length", True),
        ("Daphne Barrington of", "length", False),
        ("Someone else", "length", False),
        ("", "stop", False),
        ("Daphne", "stop", False),
    ):
        answer = Response(text, finish, None, None)
        if refused:
            with pytest.raises(ModelError, match=r"1 of 1 answers were cut.*`tokens`"):
                refuse_cut([query], [answer])
        else:
            refuse_cut([query], [answer])


def test_what_is_asked(told):
    query = replace(told.queries[0], target="x" * 40)
    chat, plain = (Endpoint("http://localhost:1/v1", "m", p) for p in ("chat", "completions"))
    assert ExactMatch().request(chat, query).messages == (("user", query.prompt),)
    assert ExactMatch().request(plain, query).messages == (("prompt", query.prompt),)
    assert ExactMatch().request(chat, query).max_tokens == 28
    assert ExactMatch(tokens=900).request(chat, query).max_tokens == 900


def test_facts_without_queries(told):
    ExactMatch().check(told)
    with pytest.raises(DataError, match="needs queries"):
        ExactMatch().check(replace(told, queries=[]))
