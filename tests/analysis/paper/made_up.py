"""Finished sweeps made up, written by the driver's own code but without models.

Axes come from the experiment files, results' names and units from the measures themselves, on
answers that are made up.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from interp_rc.facts.factset import FactSet
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.in_context import WORDINGS
from interp_rc.facts.instructions import instructions
from interp_rc.measures.behaviour import measure as behaviour
from interp_rc.measures.in_context import measure as in_context
from interp_rc.measures.in_context.prompts import prompts
from interp_rc.measures.related_answer_floor.measure import FLOORS, NAME, asked_once
from interp_rc.measures.trace import measure as trace
from interp_rc.pipeline.config import RunConfig
from interp_rc.pipeline.experiments import find_experiment
from interp_rc.pipeline.sweep.plan import Plan, Trial, load_plan
from interp_rc.pipeline.sweep.table import specification, trials_table
from interp_rc.records.environment import environment
from interp_rc.records.files import write_json, write_parquet, write_yaml
from interp_rc.records.numbers import Estimate, Verdict
from interp_rc.records.runs import Measured, Run
from interp_rc.records.sweeps import SweepRun

MODELS = ("base", "finetuned")
STEPS = (0, 4, 8)
EPOCHS = 2
HERE = environment()


def behaviour_numbers(facts: FactSet, rng: np.random.Generator) -> dict[str, Estimate]:
    """Right in the same order, wrong in reverse."""
    answers = pd.DataFrame(
        [("finetuned", q.id, q.fact, q.group, q.order, q.direction, q.seen,
          q.direction != "reverse") for q in facts.queries],
        columns=["model", "query", "fact", "group", "order", "direction", "seen", "match"],
    )  # fmt: skip
    rows = [(m, q.id, c, c == q.target, *rng.normal(size=2))
            for m in MODELS for q in facts.queries for c in q.candidates]  # fmt: skip
    columns = ["model", "query", "candidate", "correct", "log_prob", "log_prob_neutral"]
    return behaviour.estimates(answers, pd.DataFrame(rows, columns=columns), facts.queries, 0)


def in_context_numbers(facts: FactSet, rng: np.random.Generator) -> dict[str, Estimate]:
    asked = prompts(facts.facts, WORDINGS["plain"], shots=3, seed=0)
    answers = pd.DataFrame(
        [(model, one.fact.id, one.context, one.direction, one.order, rule, rng.random() < 0.5,
          False) for one in asked for model in MODELS for rule in in_context.RULES],
        columns=["model", "fact", *in_context.CELL[1:], "rule", "match", "says_last"],
    )  # fmt: skip
    candidates = pd.DataFrame(
        [(model, one.id, one.fact.id, one.context, one.direction, one.order, c == one.target,
          rng.normal(), True) for one in asked if one.context != "other" for model in MODELS
         for c in one.stated],
        columns=["model", "query", "fact", *in_context.CELL[1:], "correct", "log_prob", "stated"],
    )  # fmt: skip
    return in_context.estimates(answers, candidates, 0)


def traced(facts: FactSet, rng: np.random.Generator) -> pd.DataFrame:
    """As `training.trace` writes it: the loss falls by a nat a step, unless it is shuffled."""
    return pd.DataFrame(
        [(step, step * EPOCHS / STEPS[-1], q.group, q.order, q.direction, q.template, q.fact, kind,
          -20.0 + rng.random() + (step if kind == "correct" else 0.0), rng.random() < 0.5)
         for step in STEPS for q in facts.queries for kind in ("correct", "shuffled")],
        columns=["step", "epoch", "group", "order", "direction", "template", "fact", "set",
                 "log_prob", "greedy"],
    )  # fmt: skip


def floor_numbers(facts: FactSet) -> dict[str, Estimate]:
    names = [f"{NAME}.{cell.name}.{floor}" for cell in asked_once(facts)
             for floor in FLOORS]  # fmt: skip
    return {name: Estimate(0.03, 0.0, 0.1, 30, "fraction") for name in names}


def make_facts(config: RunConfig) -> FactSet:
    """A few of the kind that the experiment has."""
    if config.facts.kind == "instructions":
        return instructions(0, order=config.facts.order, realized=4, held_out=4)
    return fictitious_people(0, per_group=3, training_templates=2, held_out_templates=1)


def make_trial(run: Run, trial: Trial, rng: np.random.Generator, known: dict[str, Any]) -> None:
    """A finished run; `known` keeps what every run of a kind has in common."""
    config = trial.config
    kinds = [measure.kind for measure in config.measures]
    key = f"{kinds} {getattr(config.facts, 'order', '')}"
    if key not in known:
        facts = make_facts(config)
        found: dict[str, Estimate] = {}
        if "behaviour" in kinds:
            found |= behaviour_numbers(facts, rng)
        if "in_context" in kinds:
            found |= in_context_numbers(facts, rng)
        if "trace" in kinds:
            found |= trace.estimates(traced(facts, rng), 0)
        if NAME in kinds:
            found |= floor_numbers(facts)
        known[key] = facts, found
    facts, found = known[key]
    if config.training.trace is not None:
        write_parquet(run.trace_file, traced(facts, rng))
    write_yaml(run.config_file, config.model_dump(mode="json"))
    write_json(run.environment_file, HERE | {"seed": config.seed})
    if "reverse_at_chance" in kinds:
        verdict = "supported" if rng.random() < 0.7 else "inconclusive"
        claim = Verdict("reverse_at_chance", verdict, "made up", "none")
        run.write_measured("reverse_at_chance", Measured(verdicts=[claim]))
    run.base.mkdir(parents=True)
    width = config.model.size.width
    weights = {"embed": torch.zeros(width, 7), "bias": torch.zeros(width)}
    save_file(weights, run.base / "model.safetensors")
    moved = {name: _moved(one, rng) for name, one in found.items()}
    write_json(run.results_file, {name: one.as_dict() for name, one in moved.items()})


def _moved(one: Estimate, rng: np.random.Generator) -> Estimate:
    assert one.value is not None
    shift = 0.2 * rng.random()
    return replace(
        one, value=abs(one.value - shift) if one.unit == "fraction" else one.value + shift
    )


def make_sweep(folder: Path, experiment: str, known: dict[str, Any]) -> None:
    """As `interp_rc.pipeline.sweep.run` leaves it."""
    plan = load_plan(find_experiment(experiment))
    assert isinstance(plan, Plan)
    sweep = SweepRun(folder / experiment)
    for number, trial in enumerate(plan.trials):
        rng = np.random.default_rng([len(known), number])
        make_trial(sweep.trial(trial.id), trial, rng, known)
    write_yaml(sweep.sweep_file, specification(plan))
    write_parquet(sweep.trials_file, trials_table(sweep, plan.trials))
    write_json(sweep.results_file, {})  # that it is there says that the sweep is finished
