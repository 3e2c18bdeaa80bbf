"""The hub is asked once and with a bound, and what it says is told apart from its silence."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ANSWERS = {"unknown": (404, "RepoNotFound"), "newer": (404, "RevisionNotFound")}
ANSWERS |= {"broken": (500, ""), "busy": (503, ""), "silent": (200, "")}
PATIENCE = 15  # seconds for one model: ten for an answer that does not come
CODE = """
import json, sys, time
from interp_rc.models.encoder import load_encoder
from interp_rc.models.load import load
from interp_rc.records.errors import ModelError
for line in sys.stdin:
    for how in (load, load_encoder):
        begun = time.monotonic()
        try:
            how(line.strip(), revision="v9")
        except ModelError as error:
            print(json.dumps([str(error), time.monotonic() - begun]), flush=True)
"""


@pytest.fixture
def hub():
    """A server that answers by the model's name, and which paths it was asked for."""
    paths, over = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = next((name for name in ANSWERS if f"nobody/{name}" in self.path), "")
            if name:  # the library asks for other things of its own
                paths.append(self.path)
            status, code = ANSWERS.get(name, (404, ""))
            if name == "silent":
                over.wait(60)
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, paths
    over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_what_the_hub_says_and_does_not_say(hub, tmp_path):
    server, paths = hub
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path)}
    environment |= {"HF_HUB_OFFLINE": "0"}
    asking = subprocess.Popen(
        [sys.executable, "-c", CODE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def asked(name):
        print(f"nobody/{name}", file=asking.stdin, flush=True)
        for _ in range(2):
            message, seconds = json.loads(asking.stdout.readline())
            assert f"nobody/{name}" in message
            assert "\n" not in message
            assert seconds < PATIENCE
            yield message

    try:
        for message in asked("unknown"):
            assert "is not a folder, and the hub shows no model of that name" in message
        for message in asked("newer"):
            assert "has no revision 'v9' on the hub" in message
        for name in ("broken", "busy", "silent"):
            for message in asked(name):
                assert "cache" in message
        assert len(paths) == 2 * len(ANSWERS)
        server.shutdown()
        server.server_close()
        for message in asked("unknown"):  # nobody listens
            assert "cache" in message
    finally:
        asking.kill()
        asking.wait()
