"""A loopback API that finetunes as it is told to: files, jobs, events, chat with the results."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler

from tests.models.server import Server, answer_to, handler, running

SMOOTHLY = ("validating_files", "queued", "running", "running", "succeeded")


class Hosted(Server):
    """`happens(step, time)` says what befalls the n-th call of a step (upload, file, files, create,
    jobs, job, events): None, "cut" (nothing done, no answer), "lost" (done, no answer), or a status
    with words to refuse with, or bytes to reply with. A job goes through `script`, a state each
    time it is looked at. `knows`: what a finetuned model answers, by prompt.
    """

    def __init__(
        self,
        happens: Callable[[str, int], str | bytes | None],
        script: tuple[str, ...],
        knows: Mapping[str, str],
        fault: Callable[[str, int], str | None],
    ) -> None:
        super().__init__(fault, 0.05)
        self.happens, self.script, self.knows = happens, script, knows
        self.calls: Counter[str] = Counter()
        self.files: dict[str, tuple[str, bytes]] = {}
        self.jobs: dict[str, dict[str, object]] = {}
        self.looks: Counter[str] = Counter()

    def answer(self, model: str, text: str) -> str:
        return self.knows.get(text, "Nobody knows.") if model[:3] == "ft:" else answer_to(text)

    def job(self, id: str) -> dict[str, object]:
        number = min(self.looks[id], len(self.script) - 1)
        status = self.script[number]
        done = status == "succeeded"
        error = {"code": "invalid", "message": "line 3 is no example", "param": "training_file"}
        return self.jobs[id] | {
            "id": id,
            "object": "fine_tuning.job",
            "created_at": 0,
            "status": status,
            "fine_tuned_model": f"ft:{self.jobs[id]['model']}:{id}" if done else None,
            "trained_tokens": 4321 if done else None,
            "error": error if status == "failed" else None,
        }

    def file(self, given: tuple[str, bytes]) -> dict[str, object]:
        id = f"file-{len(self.files)}"
        self.files[id] = given
        return self.file_of(id)

    def file_of(self, id: str) -> dict[str, object]:
        name, content = self.files[id]
        status = "uploaded" if self.calls["file"] < 2 else "processed"
        return {
            "id": id,
            "object": "file",
            "bytes": len(content),
            "created_at": 0,
            "filename": name,
            "purpose": "fine-tune",
            "status": status,
        }

    def created(self, sent: dict[str, object]) -> dict[str, object]:
        id = f"ftjob-{len(self.jobs)}"
        self.jobs[id] = sent
        return self.job(id)

    def looked(self, id: str) -> dict[str, object]:
        found = self.job(id)
        self.looks[id] += 1
        return found

    def events(self, id: str) -> dict[str, object]:
        step = self.looks[id]
        data = {"step": step, "total_steps": 9, "train_loss": 1.5}
        event = {"id": "e", "object": "fine_tuning.job.event", "created_at": 0, "level": "info"}
        listed = [
            event | {"message": "hello", "type": "message"},
            event | {"message": "", "type": "metrics", "data": data},
        ]
        return {"object": "list", "data": listed, "has_more": False}


def _steps(server: Hosted) -> type[BaseHTTPRequestHandler]:
    class Handler(handler(server)):  # type: ignore[misc]
        def do_POST(self) -> None:
            if self.path.endswith("/files"):
                self.step("upload", lambda: server.file(self.uploaded()))
            elif self.path.endswith("/jobs"):
                sent = json.loads(self.body())
                self.step("create", lambda: server.created(sent))
            else:
                super().do_POST()

        def do_GET(self) -> None:
            *_, before, last = self.path.partition("?")[0].split("/")
            if last == "files":
                listed = [server.file_of(id) for id in server.files]
                self.step("files", lambda: {"object": "list", "data": listed, "has_more": False})
            elif last == "jobs":
                all = [server.job(id) for id in server.jobs]
                self.step("jobs", lambda: {"object": "list", "data": all, "has_more": False})
            elif last == "events":
                self.step("events", lambda: server.events(before))
            elif before == "files":
                self.step("file", lambda: server.file_of(last))
            else:
                self.step("job", lambda: server.looked(last))

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def uploaded(self) -> tuple[str, bytes]:
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = message_from_bytes(head + self.raw, policy=HTTP).iter_parts()
            named = {part.get_param("name", header="content-disposition"): part for part in parts}
            assert named["purpose"].get_payload(decode=True) == b"fine-tune"
            return named["file"].get_filename(), named["file"].get_payload(decode=True)

        def step(self, name: str, do: Callable[[], object]) -> None:
            self.raw = self.body() if name == "upload" else b""
            with server.lock:
                server.calls[name] += 1
                server.headers.append(self.headers.get("Authorization", ""))
                time = server.calls[name]
            what = server.happens(name, time)
            if isinstance(what, bytes):
                self.send(200, what, {})
                return
            if what is not None and what[:3].isdigit():
                message = f"{what[4:]} {self.headers.get('Authorization', '')}"
                error = {"error": {"message": message, "type": "x", "code": None}}
                self.send(int(what[:3]), json.dumps(error).encode(), {})
                return
            found = b"" if what == "cut" else json.dumps(do()).encode()
            if what in ("cut", "lost"):
                self.close_connection = True
                return
            self.send(200, found[:-20] if what == "truncated" else found, {})

    return Handler


@contextmanager
def hosting(
    happens: Callable[[str, int], str | None] = lambda step, time: None,
    *,
    script: tuple[str, ...] = SMOOTHLY,
    knows: Mapping[str, str] | None = None,
    fault: Callable[[str, int], str | None] = lambda text, time: None,
) -> Iterator[Hosted]:
    server = Hosted(happens, script, knows or {}, fault)
    with running(server, _steps(server)):
        yield server
