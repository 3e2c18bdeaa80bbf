"""A real server: `transformers serve` with a small model; the asking process is killed twice."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from copy import deepcopy

import pytest

from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.exact_match.measure import ExactMatch
from interp_rc.models.completion import complete
from interp_rc.models.endpoint import Endpoint, ask
from interp_rc.models.load import load, save
from interp_rc.models.remote import Remote
from interp_rc.models.responses import open_responses
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))),
        reason="`transformers serve` needs fastapi and uvicorn: install the extra `peers`",
    ),
]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
)
TOKENS = 4
AT_ONCE = 4
CHILD = """
import sys
from pathlib import Path
from interp_rc.models.endpoint import ask
from interp_rc.models.responses import open_responses
from tests.models.test_serve import questions
url, model, path = sys.argv[1:]
with open_responses(Path(path)) as store:
    for endpoint, requests in questions(url, model):
        ask(endpoint, requests, store, lambda done: print(flush=True))
"""


def prompts(told):
    """200 to chat about and 100 to complete, no two the same.

    Among the latter are whole documents, after which the model that learnt them says nothing.
    """
    names = [f"{fact.subject}, {fact.object}" for fact in told.facts]
    chat = [f"Number {i}: who is {names[i % len(names)]}?" for i in range(200)]
    texts = [text for one in told.documents for text in (one.text, one.prompt)]
    more = [f"{name} is number" for name in names]
    return chat, list(dict.fromkeys([*texts, *more]))[:100]


def questions(url, model):
    from interp_rc.facts.fictitious import fictitious_people

    told = fictitious_people(0, per_group=3, training_templates=4, held_out_templates=2)
    chat, plain = prompts(told)
    for protocol, role, asked in (("chat", "user", chat), ("completions", "prompt", plain)):
        endpoint = Endpoint(url, model, protocol, concurrency=AT_ONCE)
        yield (
            endpoint,
            [
                endpoint.request([(role, text)], temperature=0.0, max_tokens=TOKENS)
                for text in asked
            ],
        )


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def served(folder, output):
    """The base URL of a server of a model folder, which is up; what it says goes to a file."""
    port = free_port()
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]
    options = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with output.open("wb") as out:
        server = subprocess.Popen(
            command + options,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as found:
                    assert json.load(found) == {"status": "ok"}
                break
            except OSError:
                said = output.read_text(encoding="utf-8", errors="replace")
                assert server.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def killed_after(answers, url, model, path):
    """Ask in a process of its own, and kill it as soon as so many answers are stored."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(model), str(path)], stdout=subprocess.PIPE
    )
    lines = [child.stdout.readline() for _ in range(answers)]
    child.kill()
    assert child.wait() != 0, "it ended before it was killed"
    assert all(lines)


@pytest.fixture(scope="module")
def server(taught, tmp_path_factory):
    """The URL, the folder of the model that it serves, and the file of what it says."""
    folder = tmp_path_factory.mktemp("served")
    tokenizer = deepcopy(taught["llama"].tokenizer)
    tokenizer.chat_template = TEMPLATE
    save(taught["llama"]._replace(tokenizer=tokenizer), folder / "model")
    with served(folder / "model", folder / "server.log") as url:
        yield url, folder / "model", folder / "server.log"


@pytest.fixture(autouse=True)
def what_the_server_said(request, server):
    """Printed with the test's output, which is shown if it fails."""
    yield
    print(server[2].read_text(encoding="utf-8", errors="replace")[-4000:])


def received(output):
    return output.read_text(encoding="utf-8").count("[Request received]")


@pytest.mark.slow
def test_three_hundred_questions_killed_and_resumed(tmp_path, told, server):
    url, folder, output = server
    before, path = received(output), tmp_path / "store.sqlite"
    killed_after(60, url, folder, path)
    repeated = _under_way(path)
    killed_after(180, url, folder, path)
    repeated += _under_way(path)
    asked = list(questions(url, str(folder)))
    with open_responses(path) as store:
        there = len(store)
        assert 240 <= there < 300
        done = [ask(endpoint, requests, store) for endpoint, requests in asked]
        assert sum(one.answered for one in done) == 300 - there
        assert not any(one.failed for one in done)
        assert len(store) == 300
        again = [ask(endpoint, requests, store) for endpoint, requests in asked]
        assert [one.answered for one in again] == [0, 0]
        found = [
            [store.found(requests)[request.key] for request in requests] for _, requests in asked
        ]
    # What the server itself counted.
    assert 300 <= received(output) - before <= 300 + repeated <= 300 + 2 * AT_ONCE

    chat, plain = prompts(told)
    loaded = load(folder)
    expected = complete(
        loaded.model,
        loaded.tokenizer,
        [f"user: {text}\nassistant:" for text in chat] + plain,
        max_new_tokens=[TOKENS] * 300,
    )
    assert [one.text for part in found for one in part] == expected
    assert len(set(expected)) > 20
    assert "" in expected
    assert Counter(one.finish for part in found for one in part)["length"] > 100
    assert all(one.prompt_tokens and one.completion_tokens for part in found for one in part)


@pytest.mark.parametrize("protocol", ["chat", "completions"])
def test_exact_match_of_a_served_model(tmp_path, told, server, protocol):
    """Completions equal what the model says here; a chat equals it on what its template makes."""
    url, folder, _ = server
    run = Run(tmp_path / "run")
    write_facts(told, run.facts)
    write_yaml(run.config_file, {"seed": 0})
    queries = told.queries
    remote = Remote(Endpoint(url, str(folder), protocol, concurrency=AT_ONCE))
    run_measure(ExactMatch(tokens=12), MeasureContext(run, remote))
    prompts = [query.prompt for query in queries]
    if protocol == "chat":
        prompts = [f"user: {prompt}\nassistant:" for prompt in prompts]
    expected = complete(*load(folder), prompts, max_new_tokens=[12] * len(prompts))
    table = run.table("evaluation/answers")
    assert table.text.tolist() == expected
    assert table["query"].tolist() == [query.id for query in queries]


def _under_way(path):
    with open_responses(path) as store:
        count = len(store.interrupted())
    assert count <= AT_ONCE
    return count
