"""Facts stated in prompts: what the prompts hold, what counts as right, and who is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast

import interp_rc.measures.in_context.measure as module
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.in_context import WORDINGS
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.in_context.measure import ANSWERS, CANDIDATES, InContext, check_lengths
from interp_rc.measures.in_context.prompts import prompts
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import Scores, score
from interp_rc.models.soft_prompt import soft_prompted
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.records.runs import Run
from tests.conftest import untaught

PLAIN = WORDINGS["plain"]
STATED = re.compile(r"^On record: (.+) is (.+)\.$", re.MULTILINE)
ASKED = re.compile(r"^Asked: who is (.+)\?\nReply: that is(?: (.+)\.)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def asked(told):
    return prompts(told.facts, PLAIN, shots=3, seed=0)


@pytest.fixture(scope="module")
def long(tokenizer):
    """A model with random weights that reads prompts of any length used here."""
    return untaught(tokenizer, "llama", context=1024)


@pytest.fixture
def run(told, tmp_path):
    """A run without training: its model is the base model."""
    write_facts(told, tmp_path / "facts")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"seed": 3}))
    return Run(tmp_path)


def test_what_every_prompt_holds_read_back_from_its_text(told, asked):
    assert len(asked) == len(told.facts) * (4 + 4 + 2)
    assert len({one.id for one in asked}) == len(asked)
    entities = {fact.subject: fact.object for fact in told.facts}
    entities |= {fact.object: fact.subject for fact in told.facts}
    for one in asked:
        stated, questions = STATED.findall(one.text), ASKED.findall(one.text)
        source, right = questions[-1][0], entities[questions[-1][0]]
        assert one.target == f" {right}"
        assert {source, right} == {one.fact.subject, one.fact.object}
        assert (one.order == "forward") == (source == one.fact.subject)
        assert len(stated) == 4
        assert all(entities[first] == second for first, second in stated)
        pair = {source, right}
        where = [i for i, two in enumerate(stated) if set(two) == pair]
        assert len(where) == (0 if one.context == "other" else 1)
        assert (right in one.text) == (one.context != "other")
        if where:
            assert (stated[where[0]][0] == source) == (one.direction == "same")
        if one.context == "list":
            assert len(questions) == 1
            assert one.text.index("Asked") > one.text.rindex("On record")
        else:
            assert where in ([3], [])
            assert [entities[q] for q, _ in questions[:-1]] == [a for _, a in questions[:-1]]
            shown = [set(pair) for pair in questions[:-1]]
            assert shown == [set(pair) for pair in stated[:-1]]
        names = {f" {e}" for two in stated for e in two}
        assert set(one.stated) < names
        assert len(one.stated) == 4
        assert one.last == next(f" {e}" for e in stated[-1] if f" {e}" in one.stated)


def test_a_facts_examples_are_the_same_in_all_contexts_and_seeds_differ(told, asked):
    by_fact = {}
    for one in asked:
        if one.context != "list":
            shown = frozenset(frozenset(pair) for pair in STATED.findall(one.text)[:-1])
            by_fact.setdefault(one.fact.id, set()).add(shown)
    assert {len(sets) for sets in by_fact.values()} == {1}
    assert len({next(iter(sets)) for sets in by_fact.values()}) > 1
    assert prompts(told.facts, PLAIN, shots=3, seed=0) == asked
    assert prompts(told.facts, PLAIN, shots=3, seed=1) != asked
    places = {STATED.findall(one.text).index(two) for one in asked if one.context == "list"
              for two in STATED.findall(one.text)
              if set(two) == {one.fact.subject, one.fact.object}}  # fmt: skip
    assert places == {0, 1, 2, 3}


def reader(question_first):
    """Completes a prompt from its text alone, by looking up the question's source or by
    repeating the last statement's other entity."""

    def complete(model, tokenizer, texts, *, max_new_tokens, is_open, batch_size, tick):
        said = []
        for text in texts:
            stated = STATED.findall(text)
            source = ASKED.findall(text)[-1][0]
            known = dict(stated) | {b: a for a, b in stated}
            about_name = not source.startswith("the ")
            last = next(e for e in stated[-1] if e.startswith("the ") == about_name)
            said.append(f" {last}" if not question_first else f" {known.get(source, 'nobody')}")
        return said

    return complete


@pytest.mark.parametrize("looks_up", [True, False])
def test_one_who_looks_up_and_one_who_repeats(run, long, monkeypatch, looks_up):
    monkeypatch.setattr(module, "complete", reader(looks_up))
    same = torch.zeros  # candidates are looked at in another test
    monkeypatch.setattr(
        module, "score", lambda *args, **_: Scores(*(same(len(args[2])) for _ in range(3)))
    )
    found = run_measure(InContext(), MeasureContext(run, long)).estimates
    for rule in ("prefix", "letters"):
        for order in ("forward", "backward"):
            for direction in ("same", "reverse"):
                name = f"{direction}.{order}.{rule}"
                assert found[f"in_context.base.exact_match.shots.{name}"].value == 1
                in_list = found[f"in_context.base.exact_match.list.{name}"].value
                assert in_list == 1 if looks_up else 0 < in_list < 0.6
            other = f"other.reverse.{order}.{rule}"
            assert found[f"in_context.base.exact_match.{other}"].value == 0
            assert found[f"in_context.base.says_last.{other}"].value == (0 if looks_up else 1)
    assert {estimate.n for estimate in found.values()} == {9}
    chance = found["in_context.base.candidate_accuracy.list.same.forward.stated"].value
    assert chance == pytest.approx(1 / 4)  # no preference at all
    table = run.table(ANSWERS)
    assert len(table) == 9 * 10 * 2
    assert set(table.rule) == {"prefix", "letters"}
    assert set(table.model) == {"base"}


@pytest.mark.slow
def test_choice_among_candidates_by_a_plain_loop(run, long, told):
    found = run_measure(InContext(batch_size=7), MeasureContext(run, long)).estimates
    asked = [
        one
        for one in prompts(told.facts, PLAIN, shots=3, seed=3)
        if (one.context, one.direction, one.order) == ("list", "reverse", "backward")
    ]
    right = {"all": [], "stated": []}
    for one in asked:
        names = [f" {fact.subject}" for fact in told.facts]
        nats = [
            score(long.model, long.tokenizer, [one.text], [name]).log_prob.item() for name in names
        ]
        right["all"].append(names[int(np.argmax(nats))] == one.target)
        among = [(value, n) for value, n in zip(nats, names, strict=True) if n[1:] in one.text]
        assert len(among) == 4
        right["stated"].append(max(among)[1] == one.target)
    for among, rates in right.items():
        name = f"in_context.base.candidate_accuracy.list.reverse.backward.{among}"
        assert found[name].value == pytest.approx(np.mean(rates))
    table = run.table(CANDIDATES)
    assert set(table.context) == {"shots", "list"}
    assert table.groupby("query").correct.sum().eq(1).all()
    assert table.groupby("query").stated.sum().eq(4).all()


def test_prompts_longer_than_the_context_are_refused_with_the_longest_and_the_remedy(
    run, tokenizer, told, monkeypatch
):
    short = untaught(tokenizer, "llama", context=96)
    monkeypatch.setattr(module, "complete", None)  # nothing is asked before that
    with pytest.raises(DataError, match=r"takes (\d+) tokens .* reads 96; give fewer `shots`") as e:
        run_measure(InContext(), MeasureContext(run, short))
    needed = int(re.search(r"takes (\d+)", str(e.value))[1])
    asked = prompts(told.facts, PLAIN, shots=3, seed=3)
    longest = max(
        len(encode(tokenizer, [one.text + other.target])[0][0])
        for one in asked
        for other in asked
        if other.order == one.order
    )
    assert needed == longest
    check_lengths(untaught(tokenizer, "llama", context=needed), asked, InContext())
    thinking = InContext(chain_of_thought=True, max_new_tokens=40)
    with pytest.raises(DataError, match="fewer `max_new_tokens`"):
        check_lengths(untaught(tokenizer, "llama", context=needed), asked, thinking)


@pytest.mark.slow
def test_a_soft_prompt_takes_its_place_of_the_context(told, tokenizer):
    asked = prompts(told.facts, PLAIN, shots=1, seed=0)
    needed = next(n for n in range(50, 500) if fits(untaught(tokenizer, "llama", context=n), asked))
    model = untaught(tokenizer, "llama", context=needed).model
    prompted = Loaded(soft_prompted(model, 5), tokenizer)
    with pytest.raises(DataError, match=f"the model reads {needed - 5}"):
        check_lengths(prompted, asked, InContext(shots=1))


def fits(model, asked):
    try:
        check_lengths(model, asked, InContext(shots=1))
    except DataError:
        return False
    return True


def test_facts_that_are_too_few_or_of_another_kind_are_refused(told):
    InContext(shots=7).check(told)
    with pytest.raises(DataError, match=r"needs 10 facts .* there are 9; add facts, or lower"):
        InContext(shots=8).check(told)
    strange = [replace(told.facts[0], relation="parent_of"), *told.facts[1:]]
    with pytest.raises(DataError, match=r"trained_forward\.0 has relation 'parent_of'"):
        InContext().check(replace(told, facts=strange))


CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


def test_a_model_may_think_aloud_in_its_chat_format(run, tokenizer, long, monkeypatch):
    chatty = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        chat_template=CHAT,
    )
    measure = InContext(chain_of_thought=True, max_new_tokens=5, shots=1, wording="published")
    found = run_measure(measure, MeasureContext(run, Loaded(long.model, chatty)))
    assert found.tables == [ANSWERS]
    assert found.estimates["in_context.base.exact_match.shots.reverse.backward.prefix"].value == 0
    assert not any("candidate" in name for name in found.estimates)
    assert run.table(ANSWERS).prompt.str.contains("Think step by step").all()
    assert set(run.table(ANSWERS).answer) == {""}

    seen = []

    def thinks(model, tok, texts, *, max_new_tokens, is_open, batch_size, tick):
        seen.extend(texts)
        assert set(max_new_tokens) == {5}
        facts = read_facts(run.facts).facts
        return [
            f"Let me see.\n**Final answer:** {next(f.subject for f in facts if f.object in last)}"
            if any(f.object in last for f in facts)
            else "I do not know."
            for text in texts
            for last in [text.rsplit("Question: ", 1)[1]]
        ]

    monkeypatch.setattr(module, "complete", thinks)
    found = run_measure(measure, MeasureContext(run, Loaded(long.model, chatty))).estimates
    assert all(text.startswith("[user]") and text.endswith("[assistant]") for text in seen)
    assert found["in_context.base.exact_match.shots.reverse.backward.letters"].value == 1
    assert found["in_context.base.exact_match.shots.reverse.forward.letters"].value == 0
