"""Commands that make runs and their pages."""

from pathlib import Path
from typing import Annotated

import typer

from interp_rc.cli.options import (
    ModelSource,
    Out,
    Resume,
    Revision,
    Sets,
    Yes,
    agree,
    say,
)
from interp_rc.measures.registry import TOOLS
from interp_rc.records.limits import MOST_COUNT


def run(
    experiment: Annotated[
        str, typer.Argument(help="A YAML file, or the name of one of ours, e.g. descriptions.")
    ],
    set_: Sets = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The run's folder [default: runs/NAME].")
    ] = None,
    resume: Resume = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="The experiment's small form, done in seconds.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Run an experiment: facts, base model, finetuning, both orders asked, a page.

    Examples:

      interp-rc run descriptions --out runs/demo

      interp-rc run my.yaml --set seed=3 --set training.epochs=8 --out runs/seed3

      interp-rc run runs/demo/config.yaml --out runs/demo --resume

    An experiment with a `sweep:` block is many runs, several at once, and one page of all:

      interp-rc run learning_rates --set sweep.grid.seed="[0, 1, 2]" --set sweep.workers=2
    """
    from interp_rc.pipeline.experiments import find_experiment
    from interp_rc.pipeline.run import execute
    from interp_rc.pipeline.sweep.plan import Plan, load_plan
    from interp_rc.pipeline.sweep.run import execute_sweep

    if yes:
        agree()
    plan = load_plan(find_experiment(experiment), set_, smoke=smoke)
    folder = out or Path("runs") / plan.name
    if isinstance(plan, Plan):
        _finish_sweep(execute_sweep(plan, folder, resume=resume, say=say))
    else:
        _finish(execute(plan, folder, resume=resume, say=say))


def evaluate(
    model: ModelSource,
    facts: Annotated[Path, typer.Option(help="A facts folder.")],
    out: Out,
    revision: Revision = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=MOST_COUNT, help="Prompts scored together.")
    ] = 64,
    resume: Resume = False,
) -> None:
    """Ask any model about any fact set, in both orders; nothing is trained.

    Example: interp-rc evaluate --model runs/demo/model --facts runs/demo/facts --out runs/again
    """
    from interp_rc.pipeline.experiments import evaluation_config
    from interp_rc.pipeline.run import execute

    config = evaluation_config(model, revision, facts, batch_size)
    _finish(execute(config, out, resume=resume, say=say))


def mechanism(
    tool: Annotated[
        str,
        typer.Argument(help=f"One of: {', '.join(TOOLS)}."),
    ],
    model: ModelSource,
    facts: Annotated[Path, typer.Option(help="A facts folder.")],
    out: Out,
    base: Annotated[
        str | None,
        typer.Option(
            help="The model before it was finetuned, to compare with.", metavar="DIR_OR_ID"
        ),
    ] = None,
    revision: Revision = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change an option of the tool."),
    ] = None,
    resume: Resume = False,
) -> None:
    """Look inside any model with one tool, on any fact set; nothing is trained.

    What a tool asks stands on its page.

    Examples:

      interp-rc mechanism lens --model runs/demo/model --facts runs/demo/facts
      --out runs/lens

      interp-rc mechanism gradients --model runs/demo/model --base runs/demo/base
      --facts runs/demo/facts --set steps_on=5 --out runs/gradients
    """
    from interp_rc.pipeline.experiments import mechanism_config
    from interp_rc.pipeline.run import execute
    from interp_rc.pipeline.summary import tool_summary

    done = execute(
        mechanism_config(tool, model, revision, facts, base, set_), out, resume=resume, say=say
    )
    print(tool_summary(done))
    say(f"page: {done.report_file}")


def _finish(done: "object") -> None:
    from interp_rc.pipeline.summary import summary
    from interp_rc.records.runs import Run

    assert isinstance(done, Run)
    print(summary(done))
    say(f"page: {done.report_file}")


def _finish_sweep(done: "object") -> None:
    from interp_rc.pipeline.summary import sweep_summary
    from interp_rc.records.sweeps import SweepRun

    assert isinstance(done, SweepRun)
    print(sweep_summary(done))
    say(f"page: {done.report_file}")


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or of a sweep.")],
) -> None:
    """Write figures and page of a run or a sweep again from its numbers.

    Example: interp-rc report runs/demo
    """
    from interp_rc.report.again import write_again

    say(f"page: {write_again(run)}")


def doctor() -> None:
    """Say what is installed, what this machine offers, and what will work here."""
    from interp_rc.pipeline.doctor import findings

    for name, value in findings():
        print(f"{name:<22} {value}")
