"""A model behind a server that knows parents by heart, and hardly a child."""

import csv
from collections import Counter

import pytest

from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.prompts import WORDINGS, questions
from interp_rc.evaluation.parents.rates import parent_rates, rates_table
from interp_rc.facts.folder import read_facts
from interp_rc.facts.parent_tables import read_parent_table
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.parents.measure import REPLIES, Parents, model_name
from interp_rc.models.endpoint import Endpoint
from interp_rc.models.remote import Remote
from interp_rc.records.errors import DataError, ModelError
from tests.models.server import serving

FAMILIES = [
    ("Ada Brown", "Mia Brown", "Leo Brown"),
    ("Bea Brown", "Mia Brown", "Leo Brown"),
    ("Cal Stone", "Nia Stone", "Max Stone"),
    ("Dot Green", "Ola Green", "Ned Green"),
    ("Isaac Newton", "Pia Newton", "Tom Newton"),  # one of the examples
]
KNOWN = {"Dot Green"}  # whom the server names, asked about a parent


def asked_about(run):
    """By the question's words (or whole text): what is right, and in which order it is asked."""
    return {
        key: one
        for one in questions(read_facts(run.facts).facts, WORDINGS)
        for key in (one.asked, one.text)
    }


def knows_parents(run):
    """Every parent; of children Dot Green, in every second reply; Ada Brown for any other
    Brown; nobody else."""
    known, times = asked_about(run), Counter()

    def answers(text):
        one = known[text]
        times[text] += 1
        if one.order == "forward":
            return f"{one.name.upper()}\nAs far as I know."
        if one.fact.subject in KNOWN:
            return f"That is {one.name}." if times[text] % 2 else "I don't know."
        return "Ada Brown" if "Brown" in one.asked else "I don't know."

    return answers


@pytest.fixture
def remote_run(run_on):
    run = run_on(FAMILIES)
    run.evaluation.mkdir(exist_ok=True)
    return run


def ask_server(run, protocol="chat", **options):
    with serving(answers=knows_parents(run)) as server:
        remote = Remote(Endpoint(server.url, "small/model", protocol, concurrency=1))
        return run_measure(Parents(samples=4, **options), MeasureContext(run, remote)), server


@pytest.mark.slow
def test_a_server_that_knows_parents_and_not_children(remote_run):
    found, server = ask_server(remote_run)
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    assert (value["parents.pairs"], value["parents.removed"]) == (8, 2)
    assert len(found.estimates) < 150
    for scope in (*WORDINGS, "pooled"):
        at = f"parents.{scope}"
        assert value[f"{at}.share.same_person.forward"] == 1
        assert value[f"{at}.share.line_begins.forward"] == 0  # capitals
        # Of eight pairs: Ada's two always, the two of Dot in half of the samples.
        share, some = value[f"{at}.share.same_person.backward"], (2 + 2 * 0.5) / 8
        assert share == pytest.approx(some)
        assert value[f"{at}.share.same_person.difference"] == pytest.approx(100 * (1 - some))
        assert value[f"{at}.share.line_begins.backward"] == pytest.approx(2 / 8)
        assert value[f"{at}.any.same_person.backward"] == pytest.approx(4 / 8)
        assert value[f"{at}.unknown.forward"] == 0
        assert value[f"{at}.unknown.backward"] == pytest.approx((2 + 2 * 0.5) / 8)
        assert value[f"{at}.other_child.backward"] == pytest.approx(2 / 8)  # Bea's two
        assert found.estimates[f"{at}.share.same_person.backward"].n == 4
        # The first reply is the greedy one, and so the odd one.
        assert value[f"{at}.greedy.same_person.backward"] == pytest.approx(4 / 8)
    assert value["parents.mothers.share.same_person.backward"] == pytest.approx(3 / 8)
    assert value["parents.pooled.added_to.line_begins.forward"] == 100
    assert value["parents.pooled.added_to.name_line_begins.backward"] == pytest.approx(12.5)
    assert found.tables == [REPLIES]
    # Ada and Bea share the questions about their parents.
    assert sum(server.asked.values()) == (8 * 2 - 2) * len(WORDINGS) * (1 + 4)
    by_name = {test.name: test for test in found.tests}
    one = by_name["parents.who.share.same_person.difference"]
    assert one.p == pytest.approx(2 / 2**3)  # three children who differ, all in one direction
    assert one.p_adjusted == pytest.approx(min(1, 3 * one.p))
    assert by_name["parents.pooled.share.same_person.difference"].correction is None


def test_the_table_holds_a_reply_a_row(remote_run):
    ask_server(remote_run, wordings=["name"])
    table = remote_run.table(REPLIES)
    assert len(table) == 8 * 2 * 5
    assert list(table.columns) == [
        *"model seed fact child parent parent_type order wording sample prompt target text".split(),
        "unknown", *RULES, "other_child",
    ]  # fmt: skip
    assert table["sample"].isna().sum() == 16
    row = table[(table.child == "Ada Brown") & (table.order == "forward")].iloc[0]
    assert row.prompt.endswith("[user] Name the mother of Ada Brown.")
    assert (row.target, row.text) == ("Mia Brown", "MIA BROWN\nAs far as I know.")
    assert "Isaac Newton" not in set(table.child)


def test_a_reply_that_repeats_the_question_names_nobody(run_on):
    """Of our own list's families, in which child and parent share their names."""
    run = run_on([("John Quincy Adams", "Abigail Adams", "John Adams"), FAMILIES[2]])
    run.evaluation.mkdir(exist_ok=True)

    def answers(text):
        about = asked_about(run)[text].about
        return f"{about} is somebody whose family I cannot tell you about."

    with serving(answers=answers) as server:
        remote = Remote(Endpoint(server.url, "m", concurrency=1))
        found = run_measure(Parents(samples=1, wordings=["who"]), MeasureContext(run, remote))
    table = run.table(REPLIES)
    assert len(table) == 4 * 2 * 2
    assert not table.same_person.any()
    assert not table.other_child.any()
    assert found.estimates["parents.pooled.share.same_person.forward"].value == 0


def test_a_model_that_completes_texts_is_read_to_the_end_of_the_line(remote_run):
    found, server = ask_server(remote_run, protocol="completions", wordings=["who"])
    table = remote_run.table(REPLIES)
    assert set(table[table.order == "forward"].text) == {
        name.upper() for _, *both in FAMILIES[:4] for name in both
    }
    assert all(text.endswith("\nA:") for text in server.asked)
    assert found.estimates["parents.who.share.same_person.forward"].value == 1


@pytest.mark.slow
def test_what_is_stored_is_not_asked_again(remote_run):
    with serving(answers=knows_parents(remote_run)) as server:
        remote = Remote(Endpoint(server.url, "small/model"))
        first = run_measure(
            Parents(samples=1, wordings=["who"]), MeasureContext(remote_run, remote)
        )
        asked = sum(server.asked.values())
        again = run_measure(
            Parents(samples=1, wordings=["who"]), MeasureContext(remote_run, remote)
        )
        assert sum(server.asked.values()) == asked == 14 * 2
        run_measure(Parents(samples=3, wordings=["who"]), MeasureContext(remote_run, remote))
        assert sum(server.asked.values()) == 14 * 4
    assert again == first


def test_a_model_that_only_thinks_does_not_count_as_one_that_does_not_know(remote_run):
    def fault(text, time):
        return "thinks" if server.sent[-1]["max_tokens"] < 100 else None

    with serving(fault, answers=knows_parents(remote_run)) as server:
        remote = Remote(Endpoint(server.url, "m", concurrency=1))
        with pytest.raises(ModelError, match=r"^32 of 32 replies were cut .* more than 32 with"):
            run_measure(Parents(samples=1, wordings=["who"]), MeasureContext(remote_run, remote))
        assert not (remote_run.folder / f"{REPLIES}.parquet").exists()
        found = run_measure(
            Parents(samples=1, wordings=["who"], max_new_tokens=500),
            MeasureContext(remote_run, remote),
        )
    assert found.estimates["parents.who.share.same_person.forward"].value == 1


@pytest.mark.parametrize("wording", WORDINGS)
def test_published_tables_are_read_back(remote_run, wording):
    ask_server(remote_run, wordings=[wording])
    path = remote_run.evaluation / f"model.{wording}_reversal_test_results.csv"
    rates = rates_table(parent_rates(read_parent_table(path))).set_index(["counted", "parent_type"])
    # Published: the share of lines. The server says two of them about a parent.
    assert rates.loc["all", "all"].parent == 0
    assert rates.loc["all", "all"].child == pytest.approx(100 * 2 / 8)
    assert rates.loc["all", "all"].any_child == pytest.approx(100 * 2 / 8)
    assert rates.loc["all", "all"].model == f"model.{wording}"
    with path.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 9


def test_names_of_models_for_files():
    assert model_name({"kind": "pretrained", "source": "EleutherAI/pythia-1.4b"}) == "pythia-1.4b"
    assert model_name({"kind": "endpoint", "model": "ft:gpt 4o/../x:y"}) == "x-y"
    assert model_name({"kind": "embedded"}) == "embedded"


def test_facts_of_another_kind_and_lists_that_are_too_short(told, run_on):
    with pytest.raises(DataError, match=r"trained_forward\.0 has relation 'described_as'"):
        Parents().check(told)
    short = read_facts(run_on([FAMILIES[0], FAMILIES[4]]).facts)
    with pytest.raises(DataError, match="two children or more besides the people of its examples"):
        Parents().check(short)
    with pytest.raises(ValueError, match="names a wording twice"):
        Parents(wordings=["who", "who"])
