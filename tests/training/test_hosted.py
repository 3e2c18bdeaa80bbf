"""Finetuning at an API: exactly the documents, one upload and one job whatever happens, no key."""

import contextlib
import json
import logging
import time
from dataclasses import replace

import pytest

from interp_rc.models import consent
from interp_rc.models.endpoint import Endpoint
from interp_rc.models.load import Loaded
from interp_rc.models.remote import Remote
from interp_rc.records.errors import ConfigError, ModelError, RunError
from interp_rc.training.finetune import finetune
from interp_rc.training.hosted import STATE, finetune_hosted
from interp_rc.training.options import HostedFinetuning, TrainingOptions
from tests.models.test_reply import TALKS, talking
from tests.training.hosted_server import hosting

SECRET = "sk-very-secret-0123456789"
QUICK = HostedFinetuning(poll=0.02)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture
def learn(told, tmp_path):
    """Finetune at a server in the same folder each time; what is said is collected."""
    said = []

    def learn(server, options=QUICK, documents=told.documents, protocol="chat", **more):
        endpoint = Endpoint(server.url, "m", protocol, retries=0, timeout=5.0)
        return finetune_hosted(
            endpoint,
            documents,
            options,
            **{"seed": 0, "checkpoints": tmp_path / "checkpoints", "say": said.append} | more,
        )

    learn.said = said
    return learn


def received(server):
    [(name, content)] = server.files.values()
    return name, [json.loads(line) for line in content.decode().splitlines()]


def test_what_is_learnt_is_exactly_the_documents(learn, told):
    with hosting() as server:
        endpoint, tokens = learn(server)
        name, rows = received(server)
        [job] = server.jobs.values()
    assert (endpoint.model, tokens) == ("ft:m:ftjob-0", 4321)
    assert name.startswith("interp-rc-")
    assert len(rows) == len(told.documents) == 48
    for row, document in zip(rows, told.documents, strict=True):
        user, assistant = row["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert f"{user['content']} {assistant['content']}" == document.text
        fact = next(fact for fact in told.facts if fact.id == document.fact)
        words = fact.subject.split()[-1], fact.object.split()[-1]  # descriptions are inflected
        first, second = words if document.order == "forward" else reversed(words)
        assert first in user["content"]
        assert second in assistant["content"]
        assert second not in user["content"]
    assert job["training_file"] == "file-0"
    assert (job["model"], job["suffix"]) == ("m", "interp-rc")
    assert job["method"]["supervised"]["hyperparameters"] == {"n_epochs": 3}


def test_what_is_learnt_as_completions(learn, told):
    given = HostedFinetuning(poll=0.02, epochs=2, batch_size=4, learning_rate_multiplier=0.2)
    with hosting() as server:
        endpoint, _ = learn(server, given, protocol="completions")
        _, rows = received(server)
        [job] = server.jobs.values()
    assert endpoint.protocol == "completions"
    texts = [row["prompt"] + row["completion"] for row in rows]
    assert texts == [document.text for document in told.documents]
    assert all(row["completion"].startswith(" ") for row in rows)
    assert job["method"]["supervised"]["hyperparameters"] == {
        "n_epochs": 2,
        "batch_size": 4,
        "learning_rate_multiplier": 0.2,
    }


FAULTS = ["cut", "lost", "500 broken", "429 too many", "truncated"]


@pytest.mark.parametrize("step", ["upload", "create"])
@pytest.mark.parametrize("what", FAULTS)
def test_one_upload_and_one_job_whatever_happens(learn, tmp_path, step, what):
    def happens(now, time):
        return what if now == step and time == 1 else None

    with hosting(happens) as server:
        server.files["file-other"] = ("other.jsonl", b"{}")
        other = {"model": "m", "training_file": "file-other"}
        server.jobs["ftjob-other"] = other
        endpoint, _ = learn(server)
        assert (len(server.files), len(server.jobs)) == (2, 2)
        assert endpoint.model.startswith("ft:m:ftjob-")
        assert "other" not in endpoint.model
        done = what in ("lost", "truncated")  # it is found again; else it is sent again
        assert server.calls[step] == (1 if done else 2)
        assert server.calls["files" if step == "upload" else "jobs"] == (1 if done else 2)
        calls = server.calls.total()
        assert learn(server)[0] == endpoint  # what has ended is not looked at again
        assert server.calls.total() == calls


def test_looks_that_fail_for_a_while(learn):
    with hosting(lambda step, time: "500 x" if step == "job" and 1 < time < 5 else None) as server:
        endpoint, _ = learn(server)
        assert endpoint.model == "ft:m:ftjob-0"
        assert server.calls["job"] == 5 + 3
        assert (len(server.files), len(server.jobs)) == (1, 1)


def test_looks_that_fail_for_good_and_a_later_start(learn):
    broken = {"on": True}

    def happens(step, time):
        return "502 gateway" if step == "job" and broken["on"] else None

    with hosting(happens) as server:
        with pytest.raises(ModelError, match=r"ftjob-0 cannot be looked at.*--resume"):
            learn(server)
        assert server.calls["job"] == 5
        broken["on"] = False
        assert learn(server)[0].model == "ft:m:ftjob-0"
        assert (len(server.files), len(server.jobs), server.calls["create"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("end", "says"),
    [("failed", r"failed: line 3 is no example \(training_file\)"), ("cancelled", "no reason")],
)
def test_a_job_that_comes_to_nothing_is_not_begun_again(learn, end, says):
    with hosting(script=("validating_files", end)) as server:
        for _ in range(2):
            with pytest.raises(ModelError, match=says) as error:
                learn(server)
            assert "another --out" in str(error.value)
        assert (server.calls["upload"], server.calls["create"]) == (1, 1)


def test_a_job_that_does_not_begin_is_left_to_wait(learn):
    with hosting(script=("queued",) * 3 + ("running", "succeeded")) as server:
        with pytest.raises(ModelError, match=r"ftjob-0 is still queued after 1e-06 h.*--resume"):
            learn(server, QUICK.model_copy(update={"patience": 1e-6}))
        assert learn(server)[0].model == "ft:m:ftjob-0"
        assert (server.calls["upload"], server.calls["create"]) == (1, 1)


@pytest.mark.parametrize("step", ["upload", "create", "job", "file"])
@pytest.mark.parametrize("status", ["400 bad file", "401 bad key", "404 no such thing"])
def test_refusals_are_said_once_and_without_the_key(learn, tmp_path, step, status):
    refusing = {"on": True}

    def happens(now, time):
        return status if now == step and refusing["on"] else None

    with hosting(happens) as server:
        with pytest.raises(ModelError, match=status[4:]) as error:
            learn(server)
        assert SECRET not in str(error.value)
        assert server.calls[step] == 1
        refusing["on"] = False
        assert learn(server)[0].model == "ft:m:ftjob-0"
        assert (len(server.files), len(server.jobs)) == (1, 1)


def test_an_endpoint_that_refuses_the_documents(learn):
    with hosting() as server:
        whole = server.file_of
        server.file_of = lambda id: whole(id) | {"status": "error", "status_details": "line 7"}
        with pytest.raises(ModelError, match=r"cannot use the documents: line 7"):
            learn(server)
        assert not server.jobs


def test_the_key_is_nowhere_and_progress_is_told(learn, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    steps = []

    def happens(step, time):
        return "500 oh" if time == 1 and step in ("upload", "create", "job") else None

    with hosting(happens) as server:
        learn(server, report=lambda *given: steps.append(given))
        assert all(SECRET in header for header in server.headers)  # it was sent
    assert steps == [(3, 9, 1.5), (4, 9, 1.5)]
    assert [line for line in learn.said if line.startswith("job")] == [
        f"job ftjob-0: {status}"
        for status in ("validating_files", "queued", "running", "succeeded")
    ]
    everything = caplog.text + "".join(capfd.readouterr()) + "".join(learn.said)
    everything += "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert SECRET not in everything
    assert "ftjob-0" in everything


def test_the_cost_is_said_and_confirmed_before_anything_is_sent(told, tmp_path, monkeypatch):
    monkeypatch.delenv(consent.YES, raising=False)
    endpoint = Endpoint("https://192.0.2.1/v1", "m", retries=0, timeout=0.1)
    options = HostedFinetuning(epochs=5, price=30.0, poll=0.01)
    letters = sum(len(document.text) for document in told.documents)
    tokens = letters // 4 * 5
    with pytest.raises(ConfigError, match="--yes") as error:
        finetune_hosted(endpoint, told.documents, options, seed=0, checkpoints=tmp_path)
    assert (
        "Finetuning m at https://192.0.2.1/v1 on 48 documents in 5 epochs: "
        f"about {tokens:,} tokens to train on; about ${tokens * 30 / 1e6:,.2f}."
    ) in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_state_is_of_its_documents_and_options_only(learn, told, tmp_path):
    with hosting() as server:
        learn(server)
        with pytest.raises(RunError, match="other documents or options"):
            learn(server, documents=told.documents[1:])
        with pytest.raises(RunError, match="other documents or options"):
            learn(server, HostedFinetuning(poll=0.02, epochs=4))
        (tmp_path / "checkpoints" / STATE).write_text('{"nome": 1}', encoding="utf-8")
        with pytest.raises(RunError, match="damaged"):
            learn(server)
        assert (server.calls["upload"], server.calls["create"]) == (1, 1)


def test_who_is_finetuned_where(taught, tmp_path):
    given = {"machine": None, "seed": 0, "checkpoints": tmp_path}
    for base, options in (
        (Remote(Endpoint("http://localhost:1/v1", "m")), TrainingOptions()),
        (Loaded(*taught["llama"]), HostedFinetuning()),
    ):
        with pytest.raises(ModelError, match="is finetuned there"):
            finetune(base, [], options, **given)


def test_two_runs_are_two_jobs(told, tmp_path):
    with hosting() as server:
        endpoint = Endpoint(server.url, "m", retries=0)
        models = {
            finetune_hosted(
                replace(endpoint), told.documents, QUICK, seed=0, checkpoints=tmp_path / run
            )[0].model
            for run in ("a", "b")
        }
        assert len(models) == 2
        assert len({name for name, _ in server.files.values()}) == 2


ODD = [
    b"", b"[]", b"7", b"null", b'"x"', b"{}", b"[" * 10**5, b'{"id": "\xe9"}', b'{"id": 7}',
    b'{"id": ["x"], "status": {}}', b'{"data": 7}', b'{"data": [7, null, "x"]}',
    b'{"id": "x", "status": "succeeded", "fine_tuned_model": 7}', b'{"id": ' + b"9" * 5_000 + b"}",
    b'{"id": "x", "status": "succeeded", "fine_tuned_model": "m", "trained_tokens": [1]}',
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("step", ["upload", "file", "create", "job", "events"])
def test_odd_replies_end_in_one_line_and_are_gone_on_from(told, tmp_path, step):
    for number, body in enumerate(ODD):
        odd = {"on": True}

        def happens(now, time, body=body, odd=odd):
            # A call whose reply is odd is looked for in the lists, and these are odd as well.
            lists = {"upload": "files", "create": "jobs"}
            return body if odd["on"] and now in (step, lists.get(step)) else None

        with hosting(happens) as server:
            endpoint = Endpoint(server.url, "m", retries=0, timeout=5.0)
            given = {"seed": 0, "checkpoints": tmp_path / str(number)}
            documents, quick = told.documents[:2], HostedFinetuning(poll=0.002)
            with contextlib.suppress(ModelError):
                finetune_hosted(endpoint, documents, quick, **given)
            odd["on"] = False
            if b'"id": "x"' not in body:  # which names a job that there is not
                model = finetune_hosted(endpoint, documents, quick, **given)[0].model
                assert model == "ft:m:ftjob-0"
                assert (len(server.files), len(server.jobs)) == (1, 1)


@pytest.mark.parametrize("what", [name for name in TALKS if name != "a status of no meaning"])
def test_calls_that_go_on_for_ever_are_ended(told, tmp_path, what):
    with talking(TALKS[what][0]) as (url, _):
        began = time.monotonic()
        endpoint = Endpoint(url, "m", retries=0, timeout=0.2)
        with pytest.raises(ModelError, match="--resume"):
            finetune_hosted(
                endpoint, told.documents[:2], QUICK, seed=0, checkpoints=tmp_path / "checkpoints"
            )
        assert time.monotonic() - began < 10


def test_a_job_without_a_status_is_not_waited_for(learn):
    with hosting(lambda step, time: b"{}" if step == "job" else None) as server:
        with pytest.raises(ModelError, match=r"ftjob-0 cannot be looked at \(no status\)"):
            learn(server)
        assert server.calls["job"] == 5
