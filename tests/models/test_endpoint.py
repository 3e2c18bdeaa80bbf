"""Remote models: every answer stored exactly once, whatever the server does; the key nowhere."""

import logging
import random
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from interp_rc.models.endpoint import Endpoint, ask
from interp_rc.models.responses import Request, Response, open_responses
from interp_rc.records.errors import ConfigError, DataError, ModelError
from tests.models.server import FAULTS, answer_to, serving

SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def requests_for(endpoint, count, **options):
    given = {"temperature": 0.0, "max_tokens": 8} | options
    role = "user" if endpoint.protocol == "chat" else "prompt"
    return [endpoint.request([(role, f"question {i}")], **given) for i in range(count)]


def texts(store, requests):
    found = store.found(requests)
    return [found[request.key].text for request in requests if request.key in found]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["chat", "completions"])
def test_what_is_stored_is_not_asked_again(tmp_path, protocol):
    with serving() as server, open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint(server.url, "m", protocol)
        requests = requests_for(endpoint, 20)
        ticks = []
        first = ask(endpoint, [*requests[:12], *requests[:3]], store, ticks.append)
        assert (first.stored, first.answered, first.failed, sum(ticks)) == (0, 12, 0, 12)
        second = ask(endpoint, requests, store)
        assert (second.stored, second.answered, second.repeated) == (12, 8, 0)
        assert texts(store, requests) == [answer_to(f"question {i}") for i in range(20)]
        assert set(server.asked.values()) == {1}
        found = store.found(requests)[requests[0].key]
        assert (found.finish, found.prompt_tokens, found.completion_tokens) == ("stop", 3, 2)


def test_what_makes_another_question():
    one = Request("http://x/v1", "m", (("user", "q"),), 0.0, 8)
    others = [
        replace(one, endpoint="http://y/v1"),
        replace(one, model="n"),
        replace(one, messages=(("system", "q"),)),
        replace(one, temperature=1.0),
        replace(one, max_tokens=9),
        replace(one, stop=("\n",)),
        replace(one, sample=1),
    ]
    assert len({request.key for request in [one, *others]}) == len(others) + 1
    assert one.key == replace(one).key


@pytest.mark.slow
def test_every_fault_and_every_answer_once(tmp_path, caplog, capfd):
    """500 calls; a third of the questions meet one or two faults first."""
    draw = random.Random(7)
    plan = {
        f"question {i}": draw.choices(FAULTS, k=draw.randint(1, 2))
        for i in range(500)
        if draw.random() < 1 / 3
    }

    def fault(text, time):
        faults = plan.get(text, [])
        return faults[time - 1] if time <= len(faults) else None

    caplog.set_level(logging.DEBUG)
    path = tmp_path / "faults.sqlite"
    with serving(fault, slow=6.0) as server, open_responses(path) as store:
        endpoint = Endpoint(server.url, "m", concurrency=24, timeout=3.0)
        requests = requests_for(endpoint, 500)
        done = ask(endpoint, requests, store)
        assert (done.answered, done.failed, done.why) == (500, 0, None)
        assert set(server.faults) == {*FAULTS, "none"}
        assert texts(store, requests) == [answer_to(f"question {i}") for i in range(500)]
        assert len(store) == 500
        assert set(server.answered.values()) == {1}
        assert server.most_at_once <= 24 + server.faults["slow"]  # slow ones are left behind
        assert any(SECRET in header for header in server.headers)  # it was sent
    said = caplog.text + "".join(capfd.readouterr())
    assert SECRET not in said
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_what_never_answers_is_counted_and_asked_next_time(tmp_path):
    broken = {"on": True}

    def fault(text, time):
        return "no choices" if broken["on"] and text == "question 1" else None

    with serving(fault) as server, open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint(server.url, "m", retries=0)
        requests = requests_for(endpoint, 3)
        first = ask(endpoint, requests, store)
        assert (first.answered, first.failed) == (2, 1)
        assert "0 choices" in first.why
        broken["on"] = False
        second = ask(endpoint, requests, store)
        assert (second.stored, second.answered, second.repeated) == (2, 1, 0)


def test_a_port_that_nobody_listens_on_is_given_up_within_seconds(tmp_path, monkeypatch):
    pauses = []

    async def at_once(seconds):
        pauses.append(seconds)

    with serving() as server:
        url = server.url
    monkeypatch.setattr("interp_rc.models.endpoint.asyncio.sleep", at_once)
    with open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint(url, "m", concurrency=1)
        done = ask(endpoint, requests_for(endpoint, 4), store)
    assert (done.answered, done.failed) == (0, 4)
    assert "Connect" in done.why
    assert len(pauses) == 2 * 3
    assert sum(pauses) <= 8


def test_an_endpoint_that_is_not_there_is_not_asked_everything(tmp_path):
    with serving(lambda text, time: "500") as server, open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(server.url, "m", retries=0, concurrency=3)
        requests = requests_for(endpoint, 200)
        done = ask(endpoint, requests, store)
        assert (done.answered, done.failed) == (0, 200)
        assert 6 <= sum(server.asked.values()) <= 6 + 2
        assert not store.interrupted()
        # Failures among answers end nothing.
        server.fault = lambda text, time: None if int(text.split()[1]) % 5 == 0 else "500"
        assert ask(endpoint, requests, store).answered == 40
        # Nor do responses without an answer: the endpoint is there.
        server.fault = lambda text, time: "no choices"
        done = ask(endpoint, requests_for(endpoint, 60)[1:20], store)
        assert (done.failed, server.faults["no choices"]) == (16, 16 * 3)


def test_a_model_that_was_just_finetuned_may_not_be_loaded_yet(tmp_path):
    with serving(lambda text, time: "404") as server, open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(server.url, "ft:m:1")
        with pytest.raises(ModelError, match="may not be loaded yet: continue with --resume"):
            ask(endpoint, requests_for(endpoint, 1), store)


@pytest.mark.parametrize("status", ["401", "403", "404", "400"])
def test_refusals_stop_at_once_and_hide_the_key(tmp_path, status):
    with serving(lambda text, time: status) as server, open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(server.url, "m", concurrency=2)
        with pytest.raises(ModelError, match="refuses to answer for m") as error:
            ask(endpoint, requests_for(endpoint, 50), store)
        assert SECRET not in str(error.value)
        assert sum(server.asked.values()) <= 4
        assert len(store.interrupted()) <= 1  # the other worker's, called back


def test_how_the_most_tokens_of_an_answer_are_called(tmp_path):
    with serving() as server, open_responses(tmp_path / "a.sqlite") as store:
        for limit in ("max_tokens", "max_completion_tokens"):
            endpoint = Endpoint(server.url, limit, limit=limit)
            ask(endpoint, requests_for(endpoint, 1, max_tokens=7), store)
            named = {key: value for key, value in server.sent[-1].items() if "tokens" in key}
            assert named == {limit: 7}
        plain = Endpoint(server.url, "m", "completions")
        ask(plain, requests_for(plain, 1, max_tokens=7), store)
        assert server.sent[-1]["max_tokens"] == 7
    with pytest.raises(ConfigError, match="of chat models"):
        Endpoint(server.url, "m", "completions", limit="max_completion_tokens")


def test_who_refuses_max_tokens_hears_of_the_other_name(tmp_path):
    says = "400 use 'max_completion_tokens' instead"
    with serving(lambda text, time: says) as server, open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(server.url, "m")
        with pytest.raises(ModelError, match="or limit answers by max_completion_tokens"):
            ask(endpoint, requests_for(endpoint, 1), store)


def test_a_remote_endpoint_needs_a_key(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint("https://api.example.com/v1", "m")
        with pytest.raises(ConfigError, match="has no OPENAI_API_KEY"):
            ask(endpoint, requests_for(endpoint, 1), store)
        with serving() as server:  # one on this machine does not
            local = Endpoint(server.url, "m")
            assert ask(local, requests_for(local, 1), store).answered == 1


@pytest.mark.parametrize("key", ["sk-0123\u2026", "sk-01\nsk-02"])
def test_a_key_that_no_request_can_carry_is_refused_before_anything_is_asked(
    tmp_path, monkeypatch, key
):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with serving() as server, open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint(server.url, "m")
        with pytest.raises(ConfigError, match="the key in OPENAI_API_KEY has") as refused:
            ask(endpoint, requests_for(endpoint, 1), store)
    assert "sk-0" not in str(refused.value)


CHILD = """
import sys
from interp_rc.models.endpoint import Endpoint, ask
from interp_rc.models.responses import open_responses
from pathlib import Path
url, path = sys.argv[1:]
endpoint = Endpoint(url, "m", concurrency=6)
requests = [endpoint.request([("user", f"question {i}")], temperature=0.0, max_tokens=8)
            for i in range(120)]
with open_responses(Path(path)) as store:
    ask(endpoint, requests, store)
"""


def test_a_kill_repeats_no_more_than_what_was_under_way(tmp_path):
    path = tmp_path / "killed.sqlite"
    with serving(lambda text, time: "slow" if time == 1 else None, slow=0.05) as server:
        child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, str(path)])
        deadline = time.monotonic() + 60
        while sum(server.asked.values()) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.wait()
        with open_responses(path) as store:
            endpoint = Endpoint(server.url, "m", concurrency=6)
            requests = requests_for(endpoint, 120)
            kept, under_way = len(store), store.interrupted()
            assert 0 < kept < 120
            assert len(under_way) <= 6
            done = ask(endpoint, requests, store)
            assert done.repeated == len(under_way)
            assert (done.stored, done.answered) == (kept, 120 - kept)
            assert len(store) == 120
            assert sum(server.asked.values()) <= 120 + 6
            assert not store.interrupted()


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "store.sqlite"
    refused = pytest.raises(DataError, match="is in use")
    with open_responses(path), refused, open_responses(path):
        pass
    with open_responses(path) as store:
        assert len(store) == 0


def test_files_that_are_no_store(tmp_path):
    other = tmp_path / "text.sqlite"
    other.write_text("not a database at all, but a text of some length", encoding="utf-8")
    with pytest.raises(DataError, match="no store"), open_responses(other):
        pass
    later = tmp_path / "later.sqlite"
    connection = sqlite3.connect(later)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DataError, match="version 9"), open_responses(later):
        pass


def test_a_response_is_never_overwritten(tmp_path):
    request = Request("http://x/v1", "m", (("user", "q"),), 0.0, 8)
    with open_responses(tmp_path / "a.sqlite") as store:
        store.keep(request, Response("first", None, None, None))
        with pytest.raises(sqlite3.IntegrityError):
            store.keep(request, Response("second", None, None, None))
        assert store.found([request])[request.key].text == "first"
