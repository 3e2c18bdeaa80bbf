"""A run holds every part of the contract, its numbers follow from its tables, and it can be killed.

`INTERP_RC_KILLS=10` kills ten runs instead of two.
"""

import json
import os
import random
import re
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from scipy import stats

from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.world import world
from interp_rc.models.load import load
from interp_rc.pipeline.config import RunConfig, load_config
from interp_rc.pipeline.run import execute
from interp_rc.pipeline.summary import summary
from interp_rc.records.errors import ConfigError, DataError, RunError
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from interp_rc.report.again import write_again
from interp_rc.stats.rates import rate_limits
from interp_rc.training.base import cache_folder

KILLS = int(os.environ.get("INTERP_RC_KILLS", "2"))
CELLS = [
    "trained_forward.same",
    "trained_forward.reverse",
    "trained_backward.reverse",
    "trained_backward.same",
    "both.forward",
    "both.backward",
]


def changed(config: RunConfig, **parts) -> RunConfig:
    return RunConfig.model_validate(config.model_dump(mode="json") | parts)


# What lies where


def test_every_file_of_the_contract_is_there_and_nothing_else(smoke_run):
    assert {path.name for path in smoke_run.folder.iterdir() if not path.name.startswith(".")} >= {
        "config.yaml",
        "environment.json",
        "log.jsonl",
        "facts",
        "base",
        "model",
        "evaluation",
        "results.json",
        "tests.json",
        "verdicts.json",
        "report.html",
    }
    facts = "header.yaml facts.jsonl relations.jsonl templates.jsonl documents.jsonl queries.jsonl"
    assert {path.name for path in smoke_run.facts.iterdir()} == set(facts.split())
    for folder in (smoke_run.base, smoke_run.model):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
            path.name for path in folder.iterdir()
        }
    left = [path for path in smoke_run.folder.rglob("*") if path.suffix in (".part", ".old")]
    assert left == []
    assert not smoke_run.checkpoints.exists()


def test_the_configuration_is_kept_whole(smoke_run, smoke_config):
    assert RunConfig.model_validate(smoke_run.config()) == smoke_config
    assert smoke_run.config()["training"]["weight_decay"] == 0.01  # defaults are written out


def test_the_environment(smoke_run):
    environment = smoke_run.environment()
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["seed"] == 0
    assert environment["machine"] == {
        "device": "cpu",
        "bf16": environment["machine"]["bf16"],
        "threads": 1,
    }


def test_the_log_tells_every_stage_once_and_in_order(smoke_run):
    events = list(smoke_run.log())
    stages = [event["stage"] for event in events if event["event"] == "stage"]
    measures = [f"measure {measure['kind']}" for measure in smoke_run.config()["measures"]]
    assert stages == ["facts", "base model", "finetuning", *measures, "report"]
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert times == sorted(times)
    assert all(time.tzinfo for time in times)
    [tokens] = [event["tokens"] for event in events if event["event"] == "tokens"]
    tokenizer = load(smoke_run.base).tokenizer
    texts = [document.text for document in read_facts(smoke_run.facts).documents]
    assert tokens == sum(len(ids) + 1 for ids in tokenizer(texts).input_ids)


def test_answers(smoke_run):
    table = smoke_run.table("evaluation/answers")
    columns = (
        "model seed query fact group order direction seen template prompt target text match rule "
        "log_prob n_tokens"
    )
    assert set(table.columns) == set(columns.split())
    queries = read_facts(smoke_run.facts).queries
    for model, part in table.groupby("model"):
        assert part["query"].tolist() == [query.id for query in queries], model
        assert part.target.tolist() == [query.target for query in queries]
    assert set(table.model) == {"base", "finetuned"}
    assert set(table.seed) == {0}
    assert set(table.rule) == {"prefix"}
    assert table.match.dtype == bool
    said = [
        text.strip().lower()[: len(target.strip())] == target.strip().lower()
        for text, target in zip(table.text, table.target, strict=True)
    ]
    assert table.match.tolist() == said
    assert table.direction[table.group == "both"].isna().all()
    assert set(table.direction[table.group != "both"]) == {"same", "reverse"}
    assert (table.log_prob < 0).all()
    assert (table.n_tokens > 1).all()


def test_candidates(smoke_run):
    table = smoke_run.table("evaluation/candidates")
    assert {"query", "candidate", "correct", "log_prob"} <= set(table.columns)
    queries = {query.id: query for query in read_facts(smoke_run.facts).queries}
    for (_, id), part in table.groupby(["model", "query"]):
        assert part.candidate.tolist() == queries[id].candidates
        assert part.candidate[part.correct].tolist() == [queries[id].target]
    # The right candidate is scored as the answer's target is.
    answers = smoke_run.table("evaluation/answers").set_index(["model", "query"]).log_prob
    right = table[table.correct].set_index(["model", "query"]).log_prob
    np.testing.assert_allclose(right, answers[right.index], rtol=1e-6)
    # In the first three of four templates an order.
    assert len(right) == len(answers) * 3 / 4


def test_base_facts_are_those_that_the_base_model_was_told(smoke_run):
    known, facts = read_facts(smoke_run.base_facts), read_facts(smoke_run.facts)
    sizes = smoke_run.config()["model"]["world"]
    made = world(facts, 0, **sizes)
    assert (known.facts, known.queries) == (made.facts, made.queries)
    asked = smoke_run.table("evaluation/base_answers")
    assert set(asked["query"]) == {query.id for query in known.queries}


def test_results_are_flat_named_by_rule_and_finite(smoke_run):
    text = smoke_run.results_file.read_text(encoding="utf-8")
    results = json.loads(text, parse_constant=lambda found: pytest.fail(found))
    for name, entry in results.items():
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", name)
        assert list(entry) == ["value", "low", "high", "n", "unit"]
        for key in ("value", "low", "high"):
            assert entry[key] is None or np.isfinite(entry[key])
        if entry["low"] is not None and entry["high"] is not None:
            assert entry["low"] <= entry["value"] <= entry["high"]
        assert isinstance(entry["n"], int)
        assert isinstance(entry["unit"], str)
    for cell in CELLS:
        assert f"exact_match.{cell}" in results
        assert {f"log_prob.{cell}.{part}" for part in ("correct", "random", "difference")} <= set(
            results
        )
    for part in ("/", "\\", "T0", str(datetime.now().year)):
        assert part not in re.sub(r"-?\d+\.\d+(e-?\d+)?", "", text)


def test_tests_and_verdicts(smoke_run):
    tests = json.loads(smoke_run.tests_file.read_text())
    keys = "name test statistic p p_adjusted correction margin n".split()
    assert tests
    for test in tests:
        assert list(test) == keys
        assert test["p"] is None or 0 <= test["p"] <= 1
    [verdict] = json.loads(smoke_run.verdicts_file.read_text())
    assert verdict["hypothesis"] == "reverse_at_chance"
    assert verdict["verdict"] in ("supported", "refuted", "inconclusive")
    assert verdict["control"]


def test_the_summary_shows_the_headline(smoke_run):
    lines = summary(smoke_run).splitlines()
    results = smoke_run.results()
    match = results["exact_match.trained_forward.same"]
    assert f"{100 * match.value:.1f} %" in lines[1]
    assert lines[-1].startswith("reverse at chance: ")


# Numbers follow from tables


@pytest.fixture(scope="module")
def results(smoke_run):
    return smoke_run.results()


def interval(values, unit):
    """The mean of a few facts with its t interval, by the book; of a rate, with its own."""
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return mean, *(rate_limits(values) if unit == "fraction" else (mean - half, mean + half))


def agrees(estimate, values, unit):
    values = np.asarray(values, dtype=float)
    assert estimate.n == len(values)
    assert estimate.unit == unit
    mean, low, high = interval(values, unit)
    assert estimate.value == pytest.approx(mean, rel=1e-9, abs=1e-12)
    if np.ptp(values) > 1e-9:
        assert estimate.low == pytest.approx(low, rel=1e-6, abs=1e-9)
        assert estimate.high == pytest.approx(high, rel=1e-6, abs=1e-9)


@pytest.fixture(scope="module")
def asked(smoke_run):
    """Candidates of both models, each row with its query's cell, fact and template."""
    answers = smoke_run.table("evaluation/answers")
    answers["cell"] = answers.group + "." + answers.direction.fillna(answers.order)
    about = answers[answers.model == "base"][["query", "cell", "fact", "template"]]
    return answers, smoke_run.table("evaluation/candidates").merge(about, on="query")


@pytest.mark.parametrize("cell", CELLS)
def test_exact_match_from_the_answers(asked, results, cell):
    answers, _ = asked
    rows = answers[(answers.model == "finetuned") & (answers.cell == cell)]
    per_fact = rows.groupby("fact").match.mean()
    assert len(per_fact) == 4
    agrees(results[f"exact_match.{cell}"], per_fact, "fraction")


@pytest.mark.parametrize("cell", CELLS)
def test_likelihood_from_the_candidates(asked, results, cell):
    _, table = asked
    rows = table[(table.model == "finetuned") & (table.cell == cell)]
    correct = rows[rows.correct].groupby("fact").log_prob.mean()
    random_ = rows[~rows.correct].groupby("fact").log_prob.mean()
    agrees(results[f"log_prob.{cell}.correct"], correct, "nat")
    agrees(results[f"log_prob.{cell}.random"], random_, "nat")
    agrees(results[f"log_prob.{cell}.difference"], correct - random_, "nat")
    before = table[(table.model == "base") & (table.cell == cell) & table.correct]
    agrees(results[f"gain.{cell}"], correct - before.groupby("fact").log_prob.mean(), "nat")


def choices(rows, column):
    """Per fact: share of templates whose best candidate is right, and ranks; one query a time."""
    top, ranks = {}, {}
    for (fact, _), query in rows.groupby(["fact", "template"]):
        own = query[column][query.correct].item()
        best = query[query[column] == query[column].max()]
        top.setdefault(fact, []).append(best.correct.sum() / len(best))
        above, equal = (query[column] > own).sum(), (query[column] == own).sum()
        ranks.setdefault(fact, []).append(above + (equal + 1) / 2)
    return pd.DataFrame(top).mean(), pd.DataFrame(ranks)


@pytest.mark.parametrize("cell", CELLS)
def test_choice_and_rank_from_the_candidates(asked, results, cell):
    _, table = asked
    rows = table[(table.model == "finetuned") & (table.cell == cell)]
    top, ranks = choices(rows, "log_prob")
    agrees(results[f"candidate_accuracy.{cell}"], top, "fraction")
    agrees(results[f"rank.{cell}"], ranks.mean(), "rank")
    middle = results[f"median_rank.{cell}"]
    assert (middle.value, middle.n) == (float(ranks.stack().median()), len(ranks.columns))
    agrees(results[f"reciprocal_rank.{cell}"], (1 / ranks).mean(), "fraction")


@pytest.mark.parametrize("cell", CELLS)
def test_corrected_scores_from_the_candidates(asked, results, cell):
    _, table = asked
    rows = table[table.cell == cell].copy()
    rows["own"] = rows.log_prob - rows.log_prob_neutral
    wide = rows.pivot(index=["query", "fact", "template", "candidate", "correct"],
                      columns="model", values="own").reset_index()  # fmt: skip
    wide["corrected"] = wide.finetuned - wide.base
    top, _ = choices(wide, "corrected")
    right, others = (
        wide[wide.correct == is_right].groupby("fact").corrected.mean()
        for is_right in (True, False)
    )
    agrees(results[f"log_prob_corrected.{cell}.difference"], right - others, "nat")
    agrees(results[f"log_prob_corrected.{cell}.correct"], right, "nat")
    agrees(results[f"log_prob_corrected.{cell}.random"], others, "nat")
    agrees(results[f"candidate_accuracy_corrected.{cell}"], top, "fraction")


def test_forgetting_from_its_answers(smoke_run, results):
    table = smoke_run.table("evaluation/base_answers")
    table["cell"] = table.group + "." + table.direction.fillna(table.order)
    for cell in CELLS:
        per_fact = (
            table[table.cell == cell].groupby(["fact", "model"])[["match", "log_prob"]].mean()
        )
        match, nats = (per_fact[column].unstack() for column in ("match", "log_prob"))
        name = "base_facts.{}." + cell
        agrees(results[f"{name.format('exact_match')}.before"], match.base, "fraction")
        agrees(results[f"{name.format('exact_match')}.after"], match.finetuned, "fraction")
        agrees(results[f"{name.format('log_prob')}.before"], nats.base, "nat")
        agrees(results[f"{name.format('log_prob')}.change"], nats.finetuned - nats.base, "nat")
    told = table[table.direction != "reverse"].groupby(["fact", "model"]).match.mean().unstack()
    for end, model in (("before", "base"), ("after", "finetuned")):
        agrees(results[f"base_facts.exact_match.pooled.told.{end}"], told[model], "fraction")
    reverse = table[(table.direction == "reverse") & (table.model == "base")]
    rates = reverse.groupby("fact").match.mean()
    agrees(results["base_facts.exact_match.pooled.reverse.before"], rates, "fraction")


@pytest.mark.slow
def test_what_asks_about_a_corpus_is_left_out_where_none_is_known(smoke_run, tmp_path):
    """With a word before anything is learnt, in the log and on the page; all else is measured."""
    source, said = smoke_run.base, []
    config = load_config(
        packaged("experiments") / "descriptions.yaml",
        [
            f"model={{kind: pretrained, source: {source}}}",
            "measures=[{kind: exact_match}, {kind: forgetting}]",
            "training.only=null",
            "machine.threads=1",
        ],
        smoke=True,
    )
    run = execute(config, tmp_path / "run", say=said.append)
    assert said[0].startswith("measure forgetting is left out: it asks about the corpus of an emb")
    assert run.read_measured("forgetting") is None
    assert "exact_match.pooled.reverse" in run.results()
    assert not any("base_facts" in name for name in run.results())
    assert '"left_out": "forgetting"' in (run.folder / "log.jsonl").read_text()
    assert "what it forgot not known" in run.report_file.read_text()
    said.clear()
    execute(config, tmp_path / "run", resume=True, say=said.append)
    assert not said  # it is finished


# Resume


def names_below(run):
    return {str(path.relative_to(run.folder)) for path in run.folder.rglob("*")}


@pytest.fixture
def finished(smoke_run, tmp_path):
    """A copy that tests may change."""
    return Run(shutil.copytree(smoke_run.folder, tmp_path / "run"))


def test_a_finished_run_is_not_run_again(smoke_run, smoke_config):
    with pytest.raises(RunError, match=r"a finished run; add --resume.*or choose another --out"):
        execute(smoke_config, smoke_run.folder)
    said = []
    started = time.process_time()
    again = execute(smoke_config, smoke_run.folder, resume=True, say=said.append)
    assert time.process_time() - started < 1
    assert said == []
    assert again.results() == smoke_run.results()


def test_options_that_there_were_none_of_do_not_count(finished, smoke_config):
    config = finished.config()
    del config["base"]
    [probe] = [measure for measure in config["measures"] if measure["kind"] == "probe"]
    del probe["everywhere"]
    write_yaml(finished.config_file, config)
    said = []
    execute(smoke_config, finished.folder, resume=True, say=said.append)
    assert said == []


def test_an_unfinished_run_is_not_continued_unasked(finished, smoke_config):
    finished.results_file.unlink()
    with pytest.raises(RunError, match="an unfinished run; add --resume to continue it"):
        execute(smoke_config, finished.folder)
    with pytest.raises(RunError, match="is not finished; continue it with"):
        finished.results()


@pytest.mark.parametrize(
    ("part", "value", "shown"),
    [
        ("seed", 1, r"`seed` \(0\)"),
        ("training", None, r"`training` \({"),
        ("measures", [{"kind": "behaviour"}], r"`measures` \(\["),
        ("name", "other", r"`name` \('descriptions'\)"),
    ],
)
def test_a_run_is_not_continued_with_other_settings(smoke_run, smoke_config, part, value, shown):
    parts = {part: value}
    if part == "training":
        parts["measures"] = [{"kind": "behaviour"}]
    with pytest.raises(RunError, match=f"begun with another {shown}.*choose another --out"):
        execute(changed(smoke_config, **parts), smoke_run.folder, resume=True)


def test_a_folder_of_other_files_is_left_alone(smoke_config, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds other files; choose another --out"):
        execute(smoke_config, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_only_what_is_missing_is_done_again(finished, smoke_config, smoke_run):
    """Without one measure and the results: that measure and the report, and no training."""
    finished.results_file.unlink()
    (finished.measured / "reverse_at_chance.json").unlink()
    (finished.checkpoints / "checkpoint-1").mkdir(parents=True)  # as a kill may leave them
    (finished.evaluation / ".answers.parquet.abc.part").touch()
    before = (finished.model / "model.safetensors").stat().st_mtime_ns
    said = []
    execute(smoke_config, finished.folder, resume=True, say=said.append)
    assert [line for line in said if line.endswith("…")] == [
        "measure reverse_at_chance …",
        "report …",
    ]
    assert (finished.model / "model.safetensors").stat().st_mtime_ns == before
    assert names_below(finished) == names_below(smoke_run)
    assert finished.results_file.read_bytes() == smoke_run.results_file.read_bytes()
    assert finished.tests_file.read_bytes() == smoke_run.tests_file.read_bytes()


@pytest.mark.slow
def test_a_finished_run_is_given_more_measures(finished, smoke_config, smoke_run):
    """Only what is new is measured; a measure that was made is not made otherwise."""
    *fewer, last = smoke_config.measures
    write_yaml(
        finished.config_file,
        smoke_config.model_copy(update={"measures": fewer}).model_dump(mode="json"),
    )
    (finished.measured / f"{last.kind}.json").unlink()
    said = []
    run = execute(smoke_config, finished.folder, resume=True, say=said.append)
    done = [line for line in said if line.startswith("measure ") and "done" in line]
    assert [line.split()[1] for line in done] == [last.kind]
    assert run.results_file.read_bytes() == smoke_run.results_file.read_bytes()
    assert run.config() == smoke_run.config()
    changed = [smoke_config.measures[0].model_copy(update={"batch_size": 5}), *fewer[1:], last]
    with pytest.raises(RunError, match="another `measures`"):
        execute(smoke_config.model_copy(update={"measures": changed}), finished.folder, resume=True)


def test_a_finished_run_that_lost_a_part_is_not_drawn_and_is_completed(
    finished, smoke_config, smoke_run
):
    (finished.measured / "reverse_at_chance.json").unlink()
    with pytest.raises(RunError, match=r"reverse_at_chance\.json is missing .* --resume"):
        write_again(finished.folder)
    said = []
    run = execute(smoke_config, finished.folder, resume=True, page=False, say=said.append)
    assert [line for line in said if line.endswith("…")] == ["measure reverse_at_chance …"]
    assert run.results_file.read_bytes() == smoke_run.results_file.read_bytes()
    run.manifest.file.write_text("{}")
    with pytest.raises(RunError, match=r"vouches for its results is missing .* files\.json"):
        write_again(finished.folder)
    finished.config_file.unlink()
    with pytest.raises(RunError, match=r"config\.yaml is missing; put it back"):
        execute(smoke_config, finished.folder, resume=True)


def test_the_model_and_the_facts_of_a_run_are_used_as_they_were_written(finished):
    for part, file in (("model", "config.json"), ("facts", "queries.jsonl")):
        with (finished.folder / part / file).open("a") as out:
            out.write("\n")
    with pytest.raises(RunError, match=r"config\.json is not what was written .* use a copy"):
        load(finished.model)
    with pytest.raises(RunError, match=r"queries\.jsonl is not what was written"):
        read_facts(finished.facts)
    copied = Path(shutil.copytree(finished.facts, finished.folder.parent / "mine"))
    assert read_facts(copied).queries


def test_a_measure_that_does_not_fit_undoes_nothing(finished, smoke_config):
    """The facts of the run ask in four templates: a map of three needs more."""
    *others, last = smoke_config.measures
    [at] = [i for i, m in enumerate(others) if m.kind == "patching_map"]
    (finished.measured / "patching_map.json").unlink()
    fussy = others[at].model_copy(update={"templates": 3})
    config = smoke_config.model_copy(
        update={"measures": [*others[:at], fussy, *others[at + 1 :], last]}
    )
    before = finished.config_file.read_bytes()
    with pytest.raises(DataError, match="needs 3 in the other half"):
        execute(config, finished.folder, resume=True)
    assert finished.finished
    assert finished.config_file.read_bytes() == before


def test_a_second_process_is_refused(processes, finished, smoke_config):
    finished.results_file.unlink()
    before = finished.config_file.stat().st_mtime_ns
    with FileLock(finished.folder / ".lock"):
        second = processes.Process(
            target=exec,
            args=(
                "from interp_rc.pipeline.run import execute\n"
                "from interp_rc.records.errors import RunError\n"
                "try:\n"
                "    execute(config, folder, resume=True, say=str)\n"
                "except RunError as error:\n"
                "    folder.with_name('refused').write_text(str(error))\n",
                {"config": smoke_config, "folder": finished.folder},
            ),
        )
        second.start()
        second.join(60)
    assert second.exitcode == 0
    refused = finished.folder.with_name("refused").read_text()
    assert re.search("another process is at work in .*; wait for it or stop it", refused)
    assert finished.config_file.stat().st_mtime_ns == before
    assert not finished.finished


def test_a_process_that_is_about_to_end_is_waited_for(finished, smoke_config):
    """As a sweep does, whose killed driver's processes need a moment to notice."""
    held = FileLock(finished.folder / ".lock", thread_local=False)
    held.acquire()
    ending = threading.Timer(0.5, held.release)
    ending.start()
    again = execute(smoke_config, finished.folder, resume=True, patience=60, say=lambda _: None)
    assert again.finished
    assert not held.is_locked
    ending.join()


def test_a_run_that_has_just_begun_is_not_taken_for_other_files(smoke_config, tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(RunError, match=r"another process is at work in .*; wait for it or stop it"),
    ):
        execute(smoke_config, tmp_path)


def test_facts_that_cannot_be_measured_are_refused_before_anything_is_made(told, tmp_path):
    """And the folder is not spoilt: the same command with better facts works."""
    write_facts(replace(told, queries=[]), tmp_path / "facts")
    config = RunConfig.model_validate(
        {
            "name": "mine",
            "facts": {"kind": "folder", "path": str(tmp_path / "facts")},
            "model": {"kind": "embedded"},
            "measures": [{"kind": "behaviour"}],
        }
    )
    for _ in range(2):
        with pytest.raises(DataError, match="measure behaviour needs queries"):
            execute(config, tmp_path / "run", say=lambda _: None)
    assert not Run(tmp_path / "run").facts.exists()


@pytest.mark.slow
def test_a_run_that_goes_on_elsewhere_says_so(finished, smoke_config):
    finished.results_file.unlink()
    began = finished.environment() | {"python": "2.7.18"}
    finished.environment_file.write_text(json.dumps(began))
    finished.manifest.record("environment.json")
    said = []
    execute(smoke_config, finished.folder, resume=True, say=said.append)
    assert any("another" in line and "python" in line for line in said)
    assert finished.environment() == began


# Kill


def moment(run, share):
    """The stages done when `share` of the run's time is over, and the seconds after them."""
    seconds = [event["seconds"] for event in run.log() if event["event"] == "stage"]
    left = share * sum(seconds)
    for done, length in enumerate(seconds):
        if left < length:
            return done, left
        left -= length
    raise AssertionError("a share is below one")


def stages_done(folder):
    return sum(event["event"] == "stage" for event in Run(folder).log())


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_ends_with_the_same_numbers(
    kill, processes, smoke_run, smoke_config, tmp_path
):
    """SIGKILL at a random moment in one of equal parts of the run; then --resume."""
    shutil.rmtree(cache_folder() / "base", ignore_errors=True)  # pretraining can be hit, too
    folder = tmp_path / "run"
    done, seconds = moment(smoke_run, (kill + random.Random(kill).random()) / KILLS)
    victim = processes.Process(
        target=execute, args=(smoke_config, folder), kwargs={"resume": True, "say": str}
    )
    victim.start()
    while not (folder / ".lock").exists() or stages_done(folder) < done:
        assert victim.is_alive()
        time.sleep(0.005)
    time.sleep(seconds)
    victim.kill()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    run = execute(smoke_config, folder, resume=True, say=lambda _: None)
    for file in ("results_file", "tests_file", "verdicts_file", "config_file"):
        assert getattr(run, file).read_bytes() == getattr(smoke_run, file).read_bytes(), file
    assert names_below(run) == names_below(smoke_run)
    for table in ("answers", "candidates", "base_answers"):
        name = f"evaluation/{table}"
        pd.testing.assert_frame_equal(run.table(name), smoke_run.table(name), obj=name)


# What is asked while it learns


@pytest.fixture(scope="module")
def soft_config(smoke_config):
    """A soft prompt on the base model of the small run, told one group only."""
    training = {
        "kind": "prompt_tuning",
        "virtual_tokens": 4,
        "only": "trained_backward",
        "trace": {"every": 0.5},
        "epochs": 2,
        "batch_size": 6,
        "checkpoint_steps": 2,
    }
    return changed(
        smoke_config, training=training, measures=[{"kind": "trace"}, {"kind": "forgetting"}]
    )


class PowerCut(Exception):
    pass


def cut_after(writes):
    """Write a table so many times, and then fail before the next one."""
    count = iter(range(writes))

    def write(path, table):
        if next(count, None) is None:
            raise PowerCut
        write_parquet(path, table)

    return write


@pytest.mark.slow
def test_a_soft_prompt_broken_off_ends_with_the_same_table(
    soft_config, smoke_run, tmp_path, monkeypatch
):
    """Broken off after rows that follow the last checkpoint; the base beside it is untouched."""
    whole = execute(soft_config, tmp_path / "whole", say=str)

    with monkeypatch.context() as patched:
        patched.setattr("interp_rc.training.tracer.write_parquet", cut_after(3))
        with pytest.raises(PowerCut):
            execute(soft_config, tmp_path / "run", say=str)
    assert list(Run(tmp_path / "run").checkpoints.glob("checkpoint-*"))
    run = execute(soft_config, tmp_path / "run", resume=True, say=str)
    pd.testing.assert_frame_equal(run.table("training/trace"), whole.table("training/trace"))
    assert run.results_file.read_bytes() == whole.results_file.read_bytes()
    assert names_below(run) == names_below(whole)
    weights = "model/adapter_model.safetensors"
    assert (run.folder / weights).read_bytes() == (whole.folder / weights).read_bytes()
    base = "base/model.safetensors"
    assert (run.folder / base).read_bytes() == (smoke_run.folder / base).read_bytes()


@pytest.mark.slow
def test_only_facts_that_were_told_are_asked_about(soft_config, tmp_path):
    run = execute(soft_config, tmp_path / "run", say=str)
    table = run.table("training/trace")
    assert set(table.group) == {"trained_backward"}
    assert set(table.epoch) == {0, 0.5, 1, 1.5, 2}
    assert {test["name"] for test in json.loads(run.tests_file.read_text())} == {
        "trace.advantage.trained_backward.same",
        "trace.advantage.trained_backward.reverse",
    }
    assert "trace.loss.trained_backward.reverse.shuffled" in run.results()
    assert "What it said while it learnt" in run.report_file.read_text()
    assert "a soft prompt of 4 tokens" in run.report_file.read_text()


def test_a_group_that_is_not_there_is_refused_before_anything_is_made(soft_config, tmp_path):
    training = soft_config.training.model_dump() | {"only": "nobody"}
    with pytest.raises(ConfigError, match=r"training\.only"):
        execute(changed(soft_config, training=training), tmp_path / "run", say=str)
    assert not Run(tmp_path / "run").facts.exists()
