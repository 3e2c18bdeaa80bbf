"""Whatever a server replies, there is a whole answer or a stored reason why there is none."""

import gzip
import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.models.endpoint import Endpoint, ask
from interp_rc.models.reply import NoAnswerError, object_of, response_of
from interp_rc.models.responses import Response, open_responses

SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def reply(**changes):
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": "Paris"}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return {"choices": [choice], "usage": usage} | changes


def chosen(**changes):
    [choice] = reply()["choices"]
    return reply(choices=[choice | changes])


def test_whole_answers():
    whole = Response("Paris", "stop", 3, 2)
    assert response_of(json.dumps(reply()).encode()) == whole
    assert response_of(json.dumps(chosen(message=None, text="Paris")).encode()) == whole
    few = {"choices": [{"text": "é\u2028"}], "usage": None}
    assert response_of(json.dumps(few).encode()) == Response("é\u2028", None, None, None)


NONE = {
    "null": None,
    "a list": [],
    "a number": 7,
    "choices is missing": {},
    "choices is null": reply(choices=None),
    "choices is a text": reply(choices="x"),
    "choices is an object": reply(choices={"0": {}}),
    "choices are none": reply(choices=[]),
    "choices are two": reply(choices=[{}, {}]),
    "a choice is null": reply(choices=[None]),
    "a choice is a text": reply(choices=["Paris"]),
    "a message is a text": chosen(message="Paris"),
    "a message is a list": chosen(message=["Paris"]),
    "a message is empty": chosen(message={}),
    "content is null": chosen(message={"content": None}),
    "content is a number": chosen(message={"content": 7}),
    "content is parts": chosen(message={"content": [{"type": "text", "text": "Paris"}]}),
    "half a character": chosen(message={"content": "\ud83d"}),
    "half a character in the reason": chosen(finish_reason="\udc00"),
    "the reason is a list": chosen(finish_reason=["stop"]),
    "usage is a text": reply(usage="3"),
    "a count is a list": reply(usage={"prompt_tokens": [3]}),
    "a count of twenty digits": reply(usage={"completion_tokens": 10**19}),
    "a count below zero": reply(usage={"completion_tokens": -1}),
    "a count is a truth value": reply(usage={"completion_tokens": True}),
    "a count is a fraction": reply(usage={"completion_tokens": 2.5}),
}
BYTES = {
    "nothing": b"",
    "no JSON": b"<html>busy</html>",
    "cut": json.dumps(reply()).encode()[:-9],
    "half of UTF-8": json.dumps(reply()).encode().replace(b"Paris", b"Par\xc3"),
    "deep": b'{"choices": ' + b"[" * 200_000,
    "deep and closed": b'{"choices": ' + b"[" * 99_999 + b"]" * 99_999 + b"}",
    "a number of 5,000 digits": b'{"usage": ' + b"9" * 5000 + b"}",
    "zeros": b"\0" * 1000,
}


@pytest.mark.parametrize("what", [*NONE, *BYTES])
def test_no_answers(what):
    body = BYTES[what] if what in BYTES else json.dumps(NONE[what]).encode()
    with pytest.raises(NoAnswerError):
        response_of(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
PLACES = st.sampled_from(
    ["choices", "usage", "message", "content", "text", "finish_reason", "prompt_tokens"]
)


@given(PLACES, JSON)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_anything_anywhere(place, value):
    whole = reply()
    [choice] = whole["choices"]
    for part in (whole, choice, choice["message"], whole["usage"]):
        if place in part or place == "text":
            part[place] = value
    try:
        answer = response_of(json.dumps(whole).encode())
    except NoAnswerError:
        return
    answer.text.encode()
    assert all(n is None or 0 <= n < 2**63 for n in (answer.prompt_tokens,))


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_bytes(body):
    with suppress(NoAnswerError):
        assert isinstance(object_of(body), dict)


# On the way


@contextmanager
def talking(talk):
    """A server that reads each request's head and lets `talk(socket, head)` do the rest."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads, ending = [], threading.Event()

    def one(connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            head, _, body = head.partition(b"\r\n\r\n")
            heads.append(head.decode())
            length = int(
                re.search(rb"content-length: (\d+)", head.lower() + b"\ncontent-length: 0")[1]
            )
            while len(body) < length:  # else the end of the connection would be a reset
                body += connection.recv(65536)
            try:
                talk(connection, ending)
            except OSError:
                return

    def serve():
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", heads
    finally:
        ending.set()
        listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps(reply()).encode()


def trickle(connection, ending, before, drop):
    connection.sendall(before)
    while not ending.wait(0.05):
        connection.sendall(drop)


def send(*parts):
    def talk(connection, ending):
        for part in parts:
            connection.sendall(part)

    return talk


def reset(connection, ending):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def huge(connection, ending):
    connection.sendall(OK + b"\r\n")
    while not ending.is_set():
        connection.sendall(b" " * 2**20)


LATE = r"no whole reply within 0\.4 s"
TALKS = {
    "headers that trickle": (
        lambda c, e: trickle(c, e, b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        LATE,
    ),
    "headers without end": (
        lambda c, e: trickle(c, e, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        LATE,
    ),
    "a body that trickles": (lambda c, e: trickle(c, e, OK + b"\r\n", b" "), LATE),
    "silence": (lambda c, e: e.wait(5), LATE),
    "a body without end": (huge, "more than 16 MiB|no whole reply"),
    "a reset": (reset, "Connection error"),
    "no HTTP": (send(b"hello\r\n\r\n"), "Connection error"),
    "redirects without end": (
        send(
            b"HTTP/1.1 307 X\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        ),
        "redirects",
    ),
    "a chunk cut": (
        send(OK + b"Transfer-Encoding: chunked\r\n\r\n999\r\n" + BODY),
        "Connection error",
    ),
    "chunks of no number": (
        send(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY),
        "Connection error",
    ),
    "a small body that is large": (
        send(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * 10**8)),
        "gzip.*not asked for",
    ),
    "a status of no meaning": (
        send(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        "",
    ),
    "an error that trickles": (
        lambda c, e: trickle(c, e, b"HTTP/1.1 500 X\r\n\r\n", b" "),
        LATE,
    ),
    "an error of deep JSON": (
        send(b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\n\r\n" + b"[" * 10**5),
        "500",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", TALKS)
def test_trouble_on_the_way_has_an_end_and_is_said(tmp_path, what):
    talk, why = TALKS[what]
    told = []
    with talking(talk) as (url, _), open_responses(tmp_path / "a.sqlite") as store:
        endpoint = Endpoint(url, "m", timeout=0.4, retries=1, concurrency=1)
        request = endpoint.request([("user", "q")], temperature=0.0, max_tokens=8)
        began = time.monotonic()
        done = ask(endpoint, [request], store, tell=told.append)
        assert time.monotonic() - began < 5
        assert (done.answered, done.failed) == (0, 1)
        assert store.reasons() == {request.key: done.why}
        assert not store.interrupted()
    assert SECRET not in done.why + "".join(told)
    assert re.search(why, done.why)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", ""])
def test_a_whole_answer_is_one_whatever_it_is_called(tmp_path, kind):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with talking(send(head.encode(), BODY)) as (url, _), open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(url, "m")
        request = endpoint.request([("user", "q")], temperature=0.0, max_tokens=8)
        assert ask(endpoint, [request], store).answered == 1
        assert store.found([request])[request.key].text == "Paris"


def test_a_question_takes_three_timeouts_at_most_however_often_it_may_be_asked(tmp_path):
    with talking(lambda c, e: e.wait(9)) as (url, heads), open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(url, "m", timeout=0.2, retries=100, concurrency=1)
        request = endpoint.request([("user", "q")], temperature=0.0, max_tokens=8)
        told = []
        done = ask(endpoint, [request], store, tell=told.append)
        assert (done.why, len(heads)) == ("no whole reply within 0.2 s", 3)
        assert told == [f"{url}: no whole reply within 0.2 s; asking again"]


def test_the_key_goes_to_no_other_host(tmp_path):
    with talking(send(OK + f"Content-Length: {len(BODY)}\r\n\r\n".encode(), BODY)) as (other, got):
        elsewhere = other.replace("127.0.0.1", "localhost")
        moved = (
            f"HTTP/1.1 307 X\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n"
        )
        with talking(send(moved.encode())) as (url, heads), open_responses(tmp_path / "a") as store:
            endpoint = Endpoint(url, "m", retries=0)
            request = endpoint.request([("user", "q")], temperature=0.0, max_tokens=8)
            ask(endpoint, [request], store)
    assert SECRET in heads[0]
    assert len(got) == 1
    assert SECRET not in got[0]


def test_a_reason_is_kept_until_there_is_an_answer(tmp_path):
    bodies = [b"{}", b"{}", b"{}", BODY]

    def talk(connection, ending):
        body = bodies.pop(0)
        connection.sendall(OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    with talking(talk) as (url, _), open_responses(tmp_path / "a") as store:
        endpoint = Endpoint(url, "m")
        request = endpoint.request([("user", "q")], temperature=0.0, max_tokens=8)
        first = ask(endpoint, [request], store)
        assert store.reasons() == {request.key: first.why}
        assert "no choices instead of one" in first.why
        assert ask(endpoint, [request], store).answered == 1
        assert store.reasons() == {}
