"""Whatever a command meets, it ends in a few lines that can be read, in any locale."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from interp_rc import cli
from interp_rc.pipeline import doctor

ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PROGRAM = textwrap.dedent(
    """
    import json, sys
    from interp_rc import cli
    assert sys.stdout.encoding in ("ascii", "ANSI_X3.4-1968", "US-ASCII"), sys.stdout.encoding
    for words in json.loads(sys.argv[1]):
        sys.argv = ["interp-rc", *words]
        try:
            cli.main()
        except SystemExit as end:
            assert end.code in (0, 1, 2, None), end.code
    """
)


def in_ascii(*commands, **more):
    environment = os.environ | ASCII | {"PYTHONIOENCODING": "ascii"} | more
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands, ensure_ascii=False)],
        capture_output=True, env=environment, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_help_of_every_command_and_messages_in_a_c_locale(tmp_path):
    names = [command.callback.__name__ for command in cli.app.registered_commands]
    commands = [[name] for name in names]
    for group in cli.app.registered_groups:
        commands += [[group.name]]
        commands += [[group.name, one.name] for one in group.typer_instance.registered_commands]
    assert len(commands) > 18
    done = in_ascii(["--help"], [], *([*words, "--help"] for words in commands))
    assert done.returncode == 0, done.stderr.decode()
    assert b"\\u201cA is B\\u201d" in done.stdout or b"A is B" in done.stdout
    (tmp_path / "é.yaml").write_text("ñ: 1", encoding="utf-8")
    done = in_ascii(["run", str(tmp_path / "é.yaml")], ["report", "Zoë\udcff"])
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"error: ") == 2


def test_a_fault_of_ours_says_so_and_keeps_its_trace(monkeypatch, capfd):
    def fails() -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(doctor, "findings", fails)
    monkeypatch.setattr(sys, "argv", ["interp-rc", "doctor"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capfd.readouterr().err
    assert end.value.code == 1
    assert "Traceback" not in said
    found = re.search(
        r"fault of interp-rc itself \(ZeroDivisionError: by nothing\).* in (\S+);", said
    )
    assert "ZeroDivisionError" in Path(found[1]).read_text(encoding="utf-8")
    Path(found[1]).unlink()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(36, "File name too long", "x"), "x: File name"),
    ],
)
def test_faults_of_the_machine(monkeypatch, capfd, fault, words):
    def fails() -> None:
        raise fault

    monkeypatch.setattr(doctor, "findings", fails)
    monkeypatch.setattr(sys, "argv", ["interp-rc", "doctor"])
    with pytest.raises(SystemExit):
        cli.main()
    assert words in capfd.readouterr().err


def test_a_message_is_never_longer_than_a_page(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(sys, "argv", ["interp-rc", "run", "x" * 100_000])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert len(capfd.readouterr().err) < cli.LONGEST + 100
