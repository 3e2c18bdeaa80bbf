"""The commands: quick to help, plain in their errors, data on stdout and the rest on stderr."""

import json
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from interp_rc import __version__, cli
from interp_rc.engine.effects import Effects
from interp_rc.facts.contrasts import held_out_contrasts, read_contrasts, write_contrasts
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.models.load import save
from interp_rc.pipeline.experiments import tools
from interp_rc.records.runs import Run

PROGRAM = [sys.executable, "-m", "interp_rc.cli"]


@pytest.fixture
def command(monkeypatch, capfd, tmp_path):
    """Runs a command through the entry point; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["interp-rc", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def works(command):
    def run(*arguments):
        code, out, err = command(*arguments)
        assert code == 0, err
        return out, err

    return run


@pytest.fixture
def fails(command):
    """An error of ours: one line on stderr, after what progress there was; nothing on stdout."""

    def run(*arguments):
        code, out, err = command(*arguments)
        assert code == 1
        assert out == ""
        assert "Traceback" not in err
        *progress, line = err.splitlines()
        assert all(re.fullmatch(r"facts (…|done in .* s)", one) for one in progress)
        assert line.startswith("error: ")
        return line

    return run


# Quick


def seconds_of(*command):
    """User and system time of a process: what it costs, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_less_than_a_second():
    assert statistics.median(seconds_of(*PROGRAM, "--help") for _ in range(3)) < 1


def test_nothing_heavy_is_loaded_before_a_command_runs():
    code = "import sys, interp_rc.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert not loaded & {"torch", "transformers", "pandas", "numpy", "scipy", "matplotlib", "peft"}


# Usage


def test_every_command_has_help_with_an_example(works):
    out, _ = works("--help")
    commands = [["run"], ["evaluate"], ["patch"], ["trace"], ["report"], ["doctor"]]
    commands += [["facts", part] for part in ("build", "show", "validate", "import", "export")]
    for name in commands:
        assert name[0] in out
        text = works(*name, "--help")[0]
        assert name == ["doctor"] or " ".join(["interp-rc", *name]) in text
        if name in (["patch"], ["trace"]):  # what markdown would take for emphasis
            assert {"patch": "resid_post.*@prompt.last", "trace": "mlp_out.*x3@A"}[name[0]] in text


def test_version(works):
    assert works("--version")[0].strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["frobnicate"], "No such command"),
        (["run"], "Missing argument"),
        (["run", "descriptions", "--fast"], "No such option"),
        (["evaluate", "--model", "m", "--facts", "f"], "Missing option '--out'"),
        (
            ["evaluate", "--model", "m", "--facts", "f", "--out", "o", "--batch-size", "0"],
            "equal to 1",
        ),
        (["patch", "--model", "m", "--pairs", "p", "--out", "o"], "Missing option '--site'"),
        (
            ["patch", "--model", "m", "--pairs", "p", "--out", "o", "--site", "z", "--into", "x"],
            "'x' is not one of",
        ),
        (["trace", "--model", "m", "--pairs", "p", "--out", "o", "--draws", "0"], "equal to 1"),
        (
            ["trace", "--model", "m", "--pairs", "p", "--out", "o", "--metric", "logit_difference"],
            "is not one of",
        ),
        (["facts", "build", "--out", "o", "--per-group", "1"], "equal to 2"),
        (["facts", "build", "--out", "o", "--held-out-seen", "here"], "elsewhere"),
        (["facts", "build", "--out", "o", "--seed", "-1"], "equal to 0"),
        (["facts", "validate"], "Missing argument 'FACTS'"),
    ],
)
def test_usage_errors_exit_with_2(command, tmp_path, arguments, fragment):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert fragment in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["facts"]])
def test_no_command_shows_help(command, arguments):
    code, out, err = command(*arguments)
    assert code in (0, 2)
    assert "Usage" in out + err


# Errors


def test_errors_are_one_line_with_what_to_do(fails, tmp_path, smoke_run):
    there, nowhere, new = smoke_run.folder, tmp_path / "nowhere", tmp_path / "new"
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nsed: 3\nfacts: {kind: people}\nmodel: {kind: embedded}\n"
                    "measures: []\n")  # fmt: skip
    cases = [
        (["run", "description"], "no experiment 'description'; give a .yaml file or one of"),
        (["run", nowhere / "mine.yaml"], "mine.yaml: file not found; check the path"),
        (["run", file], f"{file}:2: unknown key `sed`; did you mean `seed`?"),
        (["run", "descriptions", "--set", "facts.per_group=one"], "--set facts.per_group=one:"),
        (["run", "descriptions", "--smoke", "--out", there], "add --resume to continue it"),
        (["run", "descriptions", "--out", there, "--resume"], "begun with another `facts`"),
        (["run", "descriptions", "--out", file], "choose another"),
        (["run", "descriptions", "--out", file / "below"], "choose another"),
        (["evaluate", "--model", nowhere, "--facts", there / "facts", "--out", new / "a"],
         f"model folder {nowhere} not found; check the path"),
        (["evaluate", "--model", "none/such", "--facts", there / "facts", "--out", new / "b"],
         "none/such is not a folder, not in the local hub cache"),
        (["evaluate", "--model", there / "model", "--facts", nowhere, "--out", new / "c"],
         "header.yaml: file not found; check the path"),
        (["report", nowhere], "holds no run (no config.yaml); give the folder of a run"),
        (["facts", "show", nowhere], "file not found; check the path"),
        (["facts", "validate", nowhere], "file not found; check the path"),
        (["facts", "export", nowhere, "--out", new / "d"], "file not found; check the path"),
        (["facts", "import", nowhere, "--out", new / "e"], "not found"),
        (["facts", "build", "--training-templates", "9999", "--out", new / "f"], "ask for fewer"),
        (["facts", "build", "--out", there], "give a new folder"),
        (["facts", "build", "--out", file], "is a file; give the path of a folder"),
    ]  # fmt: skip
    for arguments, fragment in cases:
        assert fragment in fails(*arguments), arguments


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_continue(tmp_path):
    arguments = ["run", "descriptions", "--smoke", "--set", "machine.threads=1", "--out", "run"]
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=tmp_path,
        text=True,
        stdout=-1,
        stderr=-1,
        # Whoever runs the tests in the background has it ignored, and processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if line.startswith("facts done"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; continue with --resume"
    assert "Traceback" not in err
    run = Run(tmp_path / "run")
    assert run.facts.is_dir()
    assert not run.finished


# Facts


@pytest.fixture
def facts(told, tmp_path):
    write_facts(told, tmp_path / "facts")
    return tmp_path / "facts"


def test_facts_build(works, tmp_path):
    sizes = ["--per-group", "2", "--training-templates", "3", "--held-out-templates", "1"]
    out, err = works("facts", "build", "--seed", "4", *sizes, "--held-out-seen", "nowhere", "--out",
                     tmp_path / "built")  # fmt: skip
    built = read_facts(tmp_path / "built")
    assert out == ""
    assert err.strip() == f"6 facts, 24 documents, 12 queries in {tmp_path / 'built'}"
    assert (len(built.facts), len(built.documents), len(built.queries)) == (6, 24, 12)
    assert built.seed == 4
    assert {query.seen for query in built.queries} == {"nowhere"}


def test_facts_show(works, facts, told):
    out, err = works("facts", "show", facts, "--examples", "2")
    assert err == ""
    rows = [line.split() for line in out.split("\n\n")[0].splitlines()[1:]]
    counts = {
        part: sum(int(row[-1]) for row in rows if row[0] == part)
        for part in ("facts", "documents", "queries")
    }
    assert counts == {
        "facts": len(told.facts),
        "documents": len(told.documents),
        "queries": len(told.queries),
    }
    assert told.documents[0].prompt in out
    assert told.queries[0].target in out
    assert len(works("facts", "show", facts, "--examples", "0")[0]) < len(out)


def test_facts_validate(works, fails, facts):
    out, err = works("facts", "validate", facts)
    assert out == ""
    assert f"{facts} is sound: 9 facts" in err
    path = facts / "documents.jsonl"
    path.write_text(path.read_text().replace('"forward"', '"sideways"', 1))
    assert "documents.jsonl:1: 'order' must be one of forward, backward" in fails(
        "facts", "validate", facts
    )


def test_facts_export_and_import(works, facts, told, tmp_path):
    published, back = tmp_path / "published", tmp_path / "back"
    _, err = works("facts", "export", facts, "--out", published)
    assert f"published layout in {published}" in err
    assert "is sound: 9 facts" in works("facts", "validate", published)[1]
    _, err = works("facts", "import", published, "--seen", "elsewhere", "--out", back)
    assert "9 facts" in err
    read = read_facts(back)
    assert sorted(d.text for d in read.documents) == sorted(d.text for d in told.documents)
    assert {(q.prompt, q.target) for q in read.queries} == {
        (q.prompt, q.target) for q in told.queries
    }
    assert {q.seen for q in read.queries} == {"elsewhere"}


# Models


def test_patch_a_file_of_contrasts(works, smoke_run, tmp_path):
    """From the facts of a run to a table of effects, and its mean on stdout."""
    works("facts", "contrasts", smoke_run.facts, "--templates", 1, "--out", "c.jsonl")
    sites = ["--site", "mlp_out.0@source.all", "--site", "resid_post.*@prompt.last"]
    out, err = works(
        "patch", "--model", smoke_run.model, "--pairs", "c.jsonl", *sites, "--out", "e.parquet"
    )
    table = pd.read_parquet(tmp_path / "e.parquet")
    contrasts = read_contrasts(tmp_path / "c.jsonl")
    assert len(table) == len(contrasts) * 3
    expected = table[table.site == "mlp_out"].groupby("order").effect.mean()
    assert f"{expected['forward']:.2f} nat" in out
    assert out.count("resid_post.1@prompt.last") == 2
    assert "effects: e.parquet" in err


def test_patch_refuses_before_it_writes(fails, smoke_run, tmp_path):
    pairs = tmp_path / "c.jsonl"
    pairs.write_text("{}\n")
    common = ["patch", "--model", smoke_run.model, "--out", "e.parquet", "--pairs"]
    assert "c.jsonl:1: key 'clean' is missing" in fails(*common, pairs, "--site", "mlp_out@source")
    write_contrasts(held_out_contrasts(read_facts(smoke_run.facts), 1), pairs)
    assert "no component 'mlp'" in fails(*common, pairs, "--site", "mlp@source")
    assert "no span 'verb'" in fails(*common, pairs, "--site", "mlp_out@verb")
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.slow
def test_patch_and_trace_draw_their_maps(works, fails, taught, told, tmp_path):
    save(taught["llama"], tmp_path / "model")
    write_contrasts(held_out_contrasts(told, 1), tmp_path / "c.jsonl")
    common = ["patch", "--model", "model", "--pairs", "c.jsonl", "--site", "mlp_out@source"]
    out, err = works(*common, "--intervention", "noise", "--scale", "0.5", "--metric", "kl",
                     "--floor", "--device", "cpu",
                     "--out", "e.parquet", "--figure", "e.svg")  # fmt: skip
    assert out.split()[:4] == ["order", "site", "effect", "facts"]
    assert err.splitlines()[-2:] == ["effects: e.parquet", "figure: e.svg"]
    assert (tmp_path / "e.svg").read_text().startswith("<?xml")
    assert Effects.load(tmp_path / "e.parquet").floor is not None
    message = fails(*common, "--without-adapters", "--from-model", "m", "--out", "f.parquet")
    assert "--from-model and --without-adapters contradict each other" in message
    assert "no adapters to switch off" in fails(*common, "--without-adapters", "--out", "f.parquet")
    assert not (tmp_path / "f.parquet").exists()
    prompt, target = told.queries[0].prompt, told.queries[0].target
    start, end = told.queries[0].source
    line = {"prompt": prompt, "subject": prompt[start:end], "target": target}
    (tmp_path / "p.jsonl").write_text(json.dumps(line))
    common = ["trace", "--model", "model", "--pairs", "p.jsonl", "--draws", "2"]
    out, err = works(*common, "--out", "t.parquet", "--figure", "t.png")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert len(out.splitlines()) == 41  # with the head; one prompt has a row a site
    assert f"the largest effects; {len(table) - 40} more in the table" in err
    assert " probability" in out
    assert err.splitlines()[-2:] == ["effects: t.parquet", "figure: t.png"]
    (tmp_path / "p.jsonl").write_text(json.dumps(line) + "\n{}\n")
    assert "p.jsonl:2: key 'prompt' is missing" in fails(*common, "--out", "u.parquet")
    assert not (tmp_path / "u.parquet").exists()


@pytest.mark.slow
def test_evaluate_gives_the_numbers_of_the_run_itself(works, smoke_run, tmp_path):
    out, err = works("evaluate", "--model", smoke_run.model, "--facts", smoke_run.facts,
                     "--batch-size", "5", "--out", tmp_path / "again")  # fmt: skip
    again = Run(tmp_path / "again")
    ours, theirs = (run.table("evaluation/answers") for run in (again, smoke_run))
    theirs = theirs[theirs.model == "finetuned"]
    assert set(ours.model) == {"base"}
    assert ours.text.tolist() == theirs.text.tolist()
    assert ours.log_prob.tolist() == pytest.approx(theirs.log_prob.tolist(), rel=1e-6)
    before, after = smoke_run.results(), again.results()
    for name, estimate in after.items():
        if name.startswith("exact_match"):
            assert estimate == before[name]
        else:
            assert estimate.value == pytest.approx(before[name].value, rel=1e-5, abs=1e-6), name
    assert {name for name in before if name.startswith(("exact_match", "log_prob."))} <= set(after)
    assert not any(name.startswith("gain.") for name in after)  # there is nothing to compare with
    assert not again.base.exists()
    assert "name to description, same order" in out
    assert err.splitlines()[-1] == f"page: {again.report_file}"


def test_run_prints_its_summary_and_resumes_at_once(works, smoke_run):
    arguments = ["run", "descriptions", "--smoke", "--set", "machine.threads=1"]
    out, err = works(*arguments, "--out", smoke_run.folder, "--resume")
    rows = re.findall(r"^(name to|description to|told in both).* %", out, re.MULTILINE)
    assert len(rows) == 6
    assert err == f"page: {smoke_run.report_file}\n"
    again = works("run", smoke_run.config_file, "--out", smoke_run.folder, "--resume")
    assert again == (out, err)


@pytest.mark.slow
def test_report_writes_the_page_again(works, smoke_run, tmp_path):
    copy = Run(shutil.copytree(smoke_run.folder, tmp_path / "copy"))
    copy.report_file.unlink()
    _, err = works("report", copy.folder)
    assert err == f"page: {copy.report_file}\n"
    assert copy.report_file.stat().st_size > 0
    assert copy.results_file.read_bytes() == smoke_run.results_file.read_bytes()


def test_doctor(works, monkeypatch, tmp_path):
    monkeypatch.setenv("INTERP_RC_CACHE", str(tmp_path / "not" / "yet"))
    out, err = works("doctor")
    assert err == ""
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert said["torch"] == torch.__version__
    assert said["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert said["cache"].startswith(f"{tmp_path / 'not' / 'yet'} (0 base models)")
    assert said["hub"].startswith("offline")
    assert "MISSING" not in out


# One tool on any model


def test_mechanism_runs_one_tool_on_a_model_and_facts(works, smoke_run):
    out, err = works(
        *("mechanism", "transposition", "--model", smoke_run.model, "--facts", smoke_run.facts),
        *("--set", "margin=0.5", "--out", "looked"),
    )
    assert "act as keys" in out
    run = Run.open(Path("looked"))
    assert run.config()["measures"] == [{"kind": "transposition", "margin": 0.5}]
    assert not (run.folder / "base").exists()
    assert set(run.table("mechanism/transposition").model) == {"finetuned"}
    assert "report.html" in err


def test_mechanism_names_every_tool(works):
    out, _ = works("mechanism", "--help")
    assert all(tool in out for tool in tools())


@pytest.mark.slow
def test_mechanism_compares_with_the_base(works, smoke_run):
    works(
        *("mechanism", "transposition", "--model", smoke_run.model, "--facts", smoke_run.facts),
        *("--base", smoke_run.base, "--out", "looked"),
    )
    table = Run.open(Path("looked")).table("mechanism/transposition")
    assert set(table.model) == {"finetuned", "base"}


def test_mechanism_says_what_is_wrong(fails, smoke_run):
    given = "--model", smoke_run.model, "--facts", smoke_run.facts, "--out", "looked"
    assert "no tool 'memory'; give one of: " in fails("mechanism", "memory", *given)
    assert "`--base`" in fails("mechanism", "gradients", *given)
    assert "margin" in fails("mechanism", "transposition", *given, "--set", "margn=1")
    assert not Path("looked").exists()
