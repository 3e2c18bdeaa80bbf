"""One run, stage by stage; each writes its part whole, and is skipped where that is there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError
from tqdm import tqdm

from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.models.load import load, save
from interp_rc.models.machine import choose_machine, use_threads
from interp_rc.models.remote import AnyModel, load_any, save_any
from interp_rc.pipeline.config import RunConfig
from interp_rc.records.disk import room_in
from interp_rc.records.environment import environment
from interp_rc.records.errors import RunError
from interp_rc.records.estimates import estimates_table
from interp_rc.records.files import write_json, write_parquet
from interp_rc.records.leftovers import sweep_temporary
from interp_rc.records.manifest import write_sealed_yaml
from interp_rc.records.runs import Run
from interp_rc.report.page import write_report
from interp_rc.training.finetune import finetune
from interp_rc.training.sample import sample
from interp_rc.training.tracer import Watch
from interp_rc.training.train import Report, discard_checkpoints

Say = Callable[[str], object]


def execute(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    threads: int | None = None,
    page: bool = True,
    patience: float = 0.0,
    say: Say = print,
) -> Run:
    """Run an experiment into `folder`, or continue it there; with more measures, only these.

    `threads` is this run's share of the machine, where its configuration does not say; without
    `page`, figures and page are left to `interp-rc report`. Another process at work in the folder
    has `patience` seconds to end.
    Raises RunError if the folder holds a run and `resume` is not given, if that run had another
    configuration, or if another process is at work in it.
    """
    run = Run(folder)
    _check_folder(run, config, resume)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        with (
            lock.acquire(timeout=patience),
            room_in(folder, "the run", "continue it with --resume"),
        ):
            run.manifest.check()
            if not _is_done(run, config):
                _Stages(config, run, threads, say).all(page)
    except Timeout:
        raise RunError(f"another process is at work in {folder}; wait for it or stop it") from None
    return run


def _check_folder(run: Run, config: RunConfig, resume: bool) -> None:
    if not run.config_file.is_file():
        if run.manifest.there:
            raise RunError(f"{run.config_file} is missing; put it back, or choose another --out")
        if run.folder.is_dir() and any(p for p in run.folder.iterdir() if p.name[0] != "."):
            raise RunError(f"{run.folder} holds other files; choose another --out")
        return
    if not run.facts.is_dir():
        return  # nothing was done yet that another configuration could spoil
    if not resume:
        state = "a finished run" if run.finished else "an unfinished run"
        raise RunError(
            f"{run.folder} holds {state}; add --resume to continue it, or choose another --out"
        )
    if not run.manifest.there:
        raise RunError(
            f"{run.folder} has no {run.manifest.file.name}, without which nothing tells whether "
            "its files are whole (earlier versions wrote none); choose another --out"
        )
    wanted, there = config.model_dump(mode="json"), _begun_with(run)
    different = [key for key in wanted if wanted[key] != there.get(key)]
    if different == ["measures"] and _only_adds(run, wanted["measures"], there["measures"]):
        return
    if different:
        raise RunError(
            f"{run.folder} was begun with another `{different[0]}` "
            f"({there.get(different[0])!r:.120}); choose another --out, or give the same values"
        )


def _begun_with(run: Run) -> dict[str, Any]:
    """The run's configuration; options that there were none of then are at their defaults."""
    there = run.config()
    try:
        return RunConfig.model_validate(there).model_dump(mode="json")
    except ValidationError:
        return there


def _only_adds(run: Run, wanted: list[Any], there: list[Any]) -> bool:
    """More measures may be made on a run; those that were made stay as they are."""
    made = [measure for measure in there if run.read_measured(measure["kind"]) is not None]
    return all(measure in wanted for measure in made)


def _is_done(run: Run, config: RunConfig) -> bool:
    if not run.finished or not run.manifest.knows(run.results_file.name):
        return False
    if any(mark.startswith(run.measured.name) for mark in run.manifest.gone()):
        return False
    return _begun_with(run) == config.model_dump(mode="json")


class _Stages:
    def __init__(self, config: RunConfig, run: Run, threads: int | None, say: Say) -> None:
        self.config, self.run, self.say = config, run, say
        asked = config.machine
        self.machine = choose_machine(asked.device, asked.precision, asked.threads or threads)
        self.measures = config.made()

    def all(self, page: bool) -> None:
        use_threads(self.machine)
        sweep_temporary(self.run.folder)
        self.delete_unrecorded()
        if self.run.facts.is_dir():
            self.check(read_facts(self.run.facts))  # before anything finished is undone
        self.run.results_file.unlink(missing_ok=True)  # measures are added to a finished run
        self.run.manifest.forget(self.run.results_file.name)
        write_sealed_yaml(self.run.config_file, self.config.model_dump(mode="json"))
        self.environment()
        self.leave_out()
        self.facts()
        self.train()
        self.measure()
        self.finish(page)

    def delete_unrecorded(self) -> None:
        """A kill between a part's last byte and its digests leaves a part that is made again."""
        run = self.run
        parts = [run.environment_file, run.facts, run.base_facts, run.base, run.model]
        for part in [*parts, run.results_file, *run.measured.glob("*.json")]:
            if part.exists() and not run.manifest.knows(part.relative_to(run.folder).as_posix()):
                rmtree(part) if part.is_dir() else part.unlink()

    def environment(self) -> None:
        """Written once; a run that goes on elsewhere says so, because its numbers may differ."""
        here = environment() | {"machine": asdict(self.machine), "seed": self.config.seed}
        if not self.run.environment_file.is_file():
            write_json(self.run.environment_file, here)
            self.run.manifest.record(self.run.environment_file.name)
            return
        begun = self.run.environment()
        changed = [key for key in here if here[key] != begun.get(key)]
        if changed:
            self.say(f"warning: the run goes on with another {', '.join(changed)} than it began")
            self.run.note("environment", changed={key: here[key] for key in changed})

    def leave_out(self) -> None:
        """Say which measures are not made, before hours are spent on the others."""
        for measure in self.config.measures:
            if measure not in self.measures:
                self.say(
                    f"measure {measure.kind} is left out: it asks about the corpus of an embedded "
                    f"model, and what a model of kind {self.config.model.kind} read is not known"
                )
                self.run.note("measure", left_out=measure.kind)

    def facts(self) -> None:
        if not self.run.facts.is_dir():
            with self.stage("facts"):
                built = self.config.facts.build(self.config.seed)
                self.check(built)
                write_facts(built, self.run.facts)
                self.run.manifest.record("facts")

    def check(self, facts: FactSet) -> None:
        """Refuse facts that cannot be learnt from or measured as the configuration says."""
        if self.config.training is not None:
            self.config.training.told(facts)
            self.watch(facts)
        for measure in self.measures:
            measure.check(facts)

    def watch(self, facts: FactSet) -> Watch | None:
        """What the model is asked while it learns: about the facts that it is told."""
        training = self.config.training
        if training is None or training.trace is None:
            return None
        told = {document.fact for document in training.told(facts)}
        queries = [query for query in facts.queries if query.fact in told]
        asked = sample(queries, training.trace, self.config.seed)
        return Watch(asked, training.trace.every, self.run.trace_file)

    def train(self) -> None:
        """Leave `model` trained, and `base` and what it knows beside it."""
        run, config = self.run, self.config
        if config.training is None:
            if config.base is not None and not run.base.is_dir():
                with self.stage("base model"):
                    loaded = load(config.base.source, revision=config.base.revision)
                    save(loaded, run.base)
                    run.manifest.record("base")
            return
        if run.model.is_dir():
            discard_checkpoints(run.checkpoints)
            return
        known = config.model.known(read_facts(run.facts), config.seed)
        if known is not None and not run.base_facts.is_dir():
            write_facts(replace(known, documents=[]), run.base_facts)
            run.manifest.record("base_facts")
        if not run.base.is_dir():
            with self.stage("base model"):
                save_any(self.base(known), run.base)
                run.manifest.record("base")
        with self.stage("finetuning"), _bar("finetuning") as report:
            run.manifest.check("facts", "base")
            facts = read_facts(run.facts)
            model, tokens = finetune(
                load_any(run.base, device=self.machine.device),
                config.training.told(facts),
                config.training,
                base_documents=known.documents if known else (),
                machine=self.machine,
                seed=config.seed,
                checkpoints=run.checkpoints,
                report=report,
                watch=self.watch(facts),
                say=self.say_and_note,
            )
            save_any(model, run.model)
            run.manifest.record("model", run.trace_file)
            self.run.note("tokens", stage="finetuning", tokens=tokens)
        discard_checkpoints(run.checkpoints)

    def say_and_note(self, message: str) -> None:
        """What was begun elsewhere can be found there by the run's log."""
        self.say(message)
        self.run.note("finetuning", said=message)

    def base(self, known: FactSet | None) -> AnyModel:
        with _bar("pretraining the base model") as report:
            loaded, ready = self.config.model.load(
                known,  # type: ignore[arg-type]  # None only for models that take None
                machine=self.machine,
                seed=self.config.seed,
                report=report,
                waiting=lambda: self.say("another process builds this base model; waiting"),
            )
        self.say("base model found, nothing to pretrain" if ready else "base model pretrained")
        return loaded  # type: ignore[return-value]  # an encoder goes to what takes encoders only

    def measure(self) -> None:
        """Every measure of the configuration, each with the same model."""
        context: MeasureContext[Any] | None = None
        for measure in self.measures:
            if self.run.read_measured(measure.kind) is None:
                self.run.manifest.check("facts", "base_facts", "base", "model")
                context = context or MeasureContext(self.run, self.model())
                with self.stage(f"measure {measure.kind}"):
                    self.run.write_measured(measure.kind, run_measure(measure, context))

    def model(self) -> AnyModel:
        if self.config.training is not None:
            return load_any(self.run.model, device=self.machine.device)
        known = self.config.model.known(read_facts(self.run.facts), self.config.seed)
        return self.base(known)

    def finish(self, page: bool) -> None:
        """Figures and page first: a run is finished if and only if its results.json exists."""
        measured = self.run.all_measured()
        parts = measured.values()
        estimates = {kind: part.estimates for kind, part in measured.items()}
        write_parquet(self.run.estimates_file, estimates_table(estimates))
        write_json(self.run.tests_file, [asdict(t) for part in parts for t in part.tests])
        verdicts = [asdict(v) for part in parts for v in part.verdicts]
        write_json(self.run.verdicts_file, verdicts)
        if page:
            with self.stage("report"):
                write_report(self.run)
        results = {name: e.as_dict() for part in parts for name, e in part.estimates.items()}
        write_json(self.run.results_file, results)
        files = (self.run.estimates_file, self.run.tests_file, self.run.verdicts_file)
        self.run.manifest.record(self.run.results_file.name, *files)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.say(f"{name} …")
        started = time.monotonic()
        yield
        seconds = round(time.monotonic() - started, 1)
        self.say(f"{name} done in {seconds} s")
        self.run.note("stage", stage=name, seconds=seconds)


@contextmanager
def _bar(label: str) -> Iterator[Report]:
    """A progress bar with the time left, made at the first step that is reported."""
    bar: tqdm | None = None

    def report(step: int, steps: int, loss: float | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=steps, initial=step - 1, desc=label, unit="step", disable=None)
        if loss is not None:
            bar.set_postfix(loss=f"{loss:.2f} nat")
        bar.update(step - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
