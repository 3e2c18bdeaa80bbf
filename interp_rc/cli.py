"""The commands: parse and print, decide nothing. Heavy imports wait until a command runs."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interp_rc import __version__
from interp_rc.records.errors import InterpError

app = typer.Typer(
    name="interp-rc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "Why can a language model trained on “A is B” not say “B is A”? Finetune one on facts told "
        "in one order, ask it in both, and look inside.\n\nStart with "
        "`interp-rc run descriptions --out runs/demo`, then open `runs/demo/report.html`."
    ),
)
facts_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build, show, check, import and export fact sets.",
)
app.add_typer(facts_app, name="facts")


class SeenOption(StrEnum):
    elsewhere = "elsewhere"
    nowhere = "nowhere"


class IntoOption(StrEnum):
    corrupted = "corrupted"
    clean = "clean"


class MetricOption(StrEnum):
    log_prob = "log_prob"
    probability = "probability"
    logit_difference = "logit_difference"
    rank = "rank"
    kl = "kl"


class TracedOption(StrEnum):
    probability = "probability"
    log_prob = "log_prob"
    rank = "rank"
    kl = "kl"


class AttributedOption(StrEnum):
    log_prob = "log_prob"
    probability = "probability"
    logit_difference = "logit_difference"
    kl = "kl"


class DeviceOption(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"
    spread = "spread"


class InterventionOption(StrEnum):
    prompt = "prompt"
    zero = "zero"
    mean = "mean"
    noise = "noise"


Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value, e.g. training.epochs=8."),
]
FactsFolder = Annotated[Path, typer.Argument(help="A facts folder.", metavar="FACTS")]
Out = Annotated[Path, typer.Option("--out", help="The folder to write.", metavar="DIR")]
Seen = Annotated[
    SeenOption,
    typer.Option(help="Held-out templates in the base corpus: about others (elsewhere) or not."),
]
ModelSource = Annotated[str, typer.Option(help="A hub id, or the folder of a model.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of the hub.")]
Table = Annotated[Path, typer.Option("--out", help="The table to write.", metavar="PARQUET")]
FigureFile = Annotated[
    Path | None, typer.Option(help="Draw the map too, as .svg or .png.", metavar="FILE")
]
Device = Annotated[
    DeviceOption, typer.Option(help="Where to compute; spread: layers over all devices.")
]
Memory = Annotated[
    float | None, typer.Option(min=0, help="GiB to compute in [default: half of what is free].")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what was interrupted.")]


def say(message: str) -> None:
    """Progress goes to stderr; stdout is for data."""
    print(message, file=sys.stderr, flush=True)


@app.command()
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

    plan = load_plan(find_experiment(experiment), set_, smoke=smoke)
    folder = out or Path("runs") / plan.name
    if isinstance(plan, Plan):
        _finish_sweep(execute_sweep(plan, folder, resume=resume, say=say))
    else:
        _finish(execute(plan, folder, resume=resume, say=say))


@app.command()
def evaluate(
    model: ModelSource,
    facts: Annotated[Path, typer.Option(help="A facts folder.")],
    out: Out,
    revision: Revision = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts scored together.")] = 64,
    resume: Resume = False,
) -> None:
    """Ask any model about any fact set, in both orders; nothing is trained.

    Example: interp-rc evaluate --model runs/demo/model --facts runs/demo/facts --out runs/again
    """
    from interp_rc.pipeline.experiments import evaluation_config
    from interp_rc.pipeline.run import execute

    config = evaluation_config(model, revision, facts, batch_size)
    _finish(execute(config, out, resume=resume, say=say))


@app.command()
def mechanism(
    tool: Annotated[
        str,
        typer.Argument(help="E.g. patching_map, memories, lens, attention, probe; see above."),
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

    Tools: attention, bilinear, editing, erasure, gradients, integrated_gradients, lens, memories,
    movement, patching_map, probe, transplant, transposition, update_geometry. What each one asks
    stands on its page.

    Examples:

      interp-rc mechanism memories --model runs/demo/model --facts runs/demo/facts
      --out runs/memories

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


@app.command()
def patch(
    model: ModelSource,
    pairs: Annotated[Path, typer.Option(help="Contrasts, one JSON object a line.")],
    site: Annotated[
        list[str],
        typer.Option(
            help="Where, e.g. mlp_out.0@A.last; see above. May come several times.",
            metavar="SITE",
        ),
    ],
    out: Table,
    metric: Annotated[
        MetricOption, typer.Option(help="Of the target; logit_difference needs a foil.")
    ] = MetricOption.log_prob,
    intervention: Annotated[
        InterventionOption | None,
        typer.Option(help="What is put in: what the other prompt has there [default], or this."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(min=0, help="Standard deviation of the noise.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws the noise [default: 0].")] = None,
    from_model: Annotated[
        str | None,
        typer.Option(
            help="Put in what this model has there, reading the clean prompt.",
            metavar="DIR_OR_ID",
        ),
    ] = None,
    without_adapters: Annotated[
        bool,
        typer.Option(
            "--without-adapters", help="Put in what the model has there without its LoRA adapter."
        ),
    ] = False,
    into: Annotated[
        IntoOption, typer.Option(help="The prompt whose run is changed.")
    ] = IntoOption.corrupted,
    revision: Revision = None,
    floor: Annotated[
        bool | None,
        typer.Option(
            "--floor/--no-floor",
            help="Measure what rounding alone does, site by site [default: in half precision].",
        ),
    ] = None,
    figure: FigureFile = None,
    device: Device = DeviceOption.auto,
    memory: Memory = None,
    resume: Resume = False,
) -> None:
    r"""Put activations of one prompt into the run of another; effects on the target, in nats.

    A line of the file is `{"clean": …, "corrupted": …, "target": …}`, with a `foil` and `spans` if
    you like. A site is `COMPONENT[.LAYER][.hHEAD|.nNEURON][xWINDOW][@SPAN.TOKEN]`. Components:
    resid_pre, pattern, z, attn_out, resid_mid, mlp_post, mlp_out, resid_post. Spans: prompt, A
    (subject), B (object), source and whatever else the contrasts name; tokens: first, last
    (default), all. All layers, and all positions of prompts equally long, where none is said.

    Examples:

      interp-rc patch --model runs/demo/model --pairs contrasts.jsonl
      --site mlp_out.0@source.all --site "resid_post.\*@prompt.last" --site "z.h\*@source.last"
      --out effects.parquet --figure effects.svg

      interp-rc patch --model my_lora --without-adapters --pairs contrasts.jsonl
      --site mlp_out@source.last --metric kl --out adapter.parquet
    """
    from interp_rc.pipeline.patch import patch_file

    table = patch_file(
        model,
        revision,
        pairs,
        site,
        out,
        into=into.value,
        metric=metric.value,
        intervention=None if intervention is None else intervention.value,
        scale=scale,
        seed=seed,
        from_model=from_model,
        without_adapters=without_adapters,
        floor=floor,
        memory=memory,
        device=device.value,
        figure=figure,
        resume=resume,
    )
    _finish_effects(table, out, figure)


@app.command()
def attribute(
    model: ModelSource,
    pairs: Annotated[Path, typer.Option(help="Contrasts, one JSON object a line, as in patch.")],
    site: Annotated[
        list[str], typer.Option(help="As in patch, of one layer each.", metavar="SITE")
    ],
    out: Table,
    metric: Annotated[
        AttributedOption, typer.Option(help="Of the target; logit_difference needs a foil.")
    ] = AttributedOption.log_prob,
    steps: Annotated[
        int, typer.Option(min=1, help="More than 1: integrated gradients, over so many runs.")
    ] = 1,
    checked: Annotated[
        int, typer.Option(min=0, help="Contrasts that are patched, too, to compare with.")
    ] = 8,
    into: Annotated[
        IntoOption, typer.Option(help="The prompt whose run is changed.")
    ] = IntoOption.corrupted,
    revision: Revision = None,
    figure: FigureFile = None,
    device: Device = DeviceOption.auto,
    memory: Memory = None,
) -> None:
    r"""Estimate what patch finds, at all sites from one backward pass, and how well.

    Attribution patching (Nanda 2023; Syed et al. 2023), with steps its integrated-gradients form.
    Its rank correlation with the exact effects of some contrasts is said beside it.

    Example:

      interp-rc attribute --model runs/demo/model --pairs contrasts.jsonl
      --site "z.h\*@source.last" --site "mlp_out@source.last" --out estimated.parquet
    """
    from interp_rc.pipeline.attribute import attribute_file

    table, agreement = attribute_file(
        model,
        revision,
        pairs,
        site,
        out,
        into=into.value,
        metric=metric.value,
        steps=steps,
        checked=checked,
        memory=memory,
        device=device.value,
        figure=figure,
    )
    _finish_effects(table, out, figure)
    if agreement is not None:
        said = agreement.text(2).replace(" correlation", "")
        say(f"rank correlation with patch: {said} (facts: {agreement.n})")


@app.command()
def trace(
    model: ModelSource,
    pairs: Annotated[Path, typer.Option(help="Prompts, one JSON object a line.")],
    out: Table,
    site: Annotated[
        list[str] | None,
        typer.Option(
            help="As in patch [default: the stream after each layer, and windows of attention "
            "and of the MLPs, at every token]. May come several times.",
            metavar="SITE",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Of the noise, for each prompt.")] = 10,
    scale: Annotated[
        float, typer.Option(min=0, help="Of the noise, in standard deviations of the subjects.")
    ] = 3.0,
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Layers of attention or MLPs restored together [default: 10]."),
    ] = None,
    metric: Annotated[TracedOption, typer.Option(help="Of the target.")] = TracedOption.probability,
    seed: Annotated[int, typer.Option(min=0, help="Draws the noise.")] = 0,
    revision: Revision = None,
    figure: FigureFile = None,
    device: Device = DeviceOption.auto,
    memory: Memory = None,
    resume: Resume = False,
) -> None:
    r"""Noise on each prompt's subject, then one clean state after another restored.

    Causal tracing (Meng et al. 2022). A line of the file is
    `{"prompt": …, "subject": …, "target": …}`.

    Examples:

      interp-rc trace --model runs/demo/model --pairs prompts.jsonl --out traced.parquet
      --figure traced.png

      interp-rc trace --model runs/demo/model --pairs prompts.jsonl
      --site "mlp_out.\*x3@A.last" --metric log_prob --out traced.parquet
    """
    from interp_rc.pipeline.trace import trace_file

    table = trace_file(
        model,
        revision,
        pairs,
        site,
        out,
        draws=draws,
        scale=scale,
        window=window,
        metric=metric.value,
        seed=seed,
        memory=memory,
        device=device.value,
        figure=figure,
        resume=resume,
    )
    _finish_effects(table, out, figure)


def _finish_effects(table: "object", out: Path, figure: Path | None) -> None:
    import pandas as pd

    assert isinstance(table, pd.DataFrame)
    print(table.to_string(index=False))
    if table.attrs["left_out"]:
        say(f"the largest effects; {table.attrs['left_out']} more in the table")
    say(f"effects: {out}")
    if figure is not None:
        say(f"figure: {figure}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or of a sweep.")],
) -> None:
    """Write figures and page of a run or a sweep again from its numbers.

    Example: interp-rc report runs/demo
    """
    from interp_rc.report.again import write_again

    say(f"page: {write_again(run)}")


@app.command()
def doctor() -> None:
    """Say what is installed, what this machine offers, and what will work here."""
    from interp_rc.pipeline.doctor import findings

    for name, value in findings():
        print(f"{name:<22} {value}")


@facts_app.command("build")
def facts_build(
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="Draws people and templates.")] = 0,
    per_subset: Annotated[int, typer.Option(min=2, help="Facts in each of three subsets.")] = 30,
    training_templates: Annotated[int, typer.Option(min=1, help="Per order.")] = 30,
    held_out_templates: Annotated[int, typer.Option(min=1, help="Per order.")] = 10,
    held_out_seen: Seen = SeenOption.elsewhere,
) -> None:
    """Invent people and write their facts, documents and queries.

    Example, 40,000 documents: interp-rc facts build --per-subset 250 --training-templates 40
    --out facts40k
    """
    from interp_rc.facts.folder import write_facts
    from interp_rc.facts.options import People

    chosen = People(
        per_subset=per_subset,
        training_templates=training_templates,
        held_out_templates=held_out_templates,
        held_out_seen=held_out_seen.value,
    )
    built = chosen.build(seed)
    write_facts(built, out)
    say(f"{len(built.facts)} facts, {len(built.documents)} documents, "
        f"{len(built.queries)} queries in {out}")  # fmt: skip


@facts_app.command("show")
def facts_show(
    facts: FactsFolder,
    examples: Annotated[int, typer.Option(min=0, help="How many examples of each kind.")] = 1,
) -> None:
    """Count what a fact set holds and show examples.

    Example: interp-rc facts show runs/demo/facts --examples 3
    """
    from interp_rc.facts.describe import examples as examples_of
    from interp_rc.facts.describe import summary
    from interp_rc.facts.folder import read_facts

    read = read_facts(facts)
    print(summary(read).to_string(index=False))
    if examples:
        for row in examples_of(read, examples).to_dict("records"):
            print("\n" + "\n".join(f"{key:>9}  {value}" for key, value in row.items()))


@facts_app.command("validate")
def facts_validate(facts: FactsFolder) -> None:
    """Check a facts folder, or a folder in the published layout; the first fault is named.

    Example: interp-rc facts validate my_facts
    """
    from interp_rc.pipeline.experiments import read_any_facts

    read = read_any_facts(facts, "nowhere")
    say(f"{facts} is sound: {len(read.facts)} facts, {len(read.documents)} documents, "
        f"{len(read.queries)} queries")  # fmt: skip


@facts_app.command("import")
def facts_import(
    folder: Annotated[Path, typer.Argument(help="A folder in the published layout.")],
    out: Out,
    seen: Seen = SeenOption.nowhere,
) -> None:
    """Read the layout published with the Reversal Curse paper; recover facts and templates.

    Example: interp-rc facts import experiment1 --out published
    """
    from interp_rc.facts.folder import write_facts
    from interp_rc.pipeline.experiments import import_any

    read = import_any(folder, seen.value)
    write_facts(read, out)
    say(f"{len(read.facts)} facts, {len(read.documents)} documents, "
        f"{len(read.queries)} queries in {out}")  # fmt: skip


@facts_app.command("export")
def facts_export(facts: FactsFolder, out: Out) -> None:
    """Write a facts folder in the published layout (prompt and completion).

    Example: interp-rc facts export runs/demo/facts --out published_layout
    """
    from interp_rc.facts.folder import read_facts
    from interp_rc.facts.published import export_published

    export_published(read_facts(facts), out)
    say(f"published layout in {out}")


@facts_app.command("contrasts")
def facts_contrasts(
    facts: FactsFolder,
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="JSONL")],
    templates: Annotated[int, typer.Option(min=1, help="Held-out templates per order.")] = 2,
) -> None:
    """Write contrasts: each fact against another of its subset in the same held-out template.

    Example: interp-rc facts contrasts runs/demo/facts --out contrasts.jsonl
    """
    from interp_rc.facts.contrasts import held_out_contrasts, write_contrasts
    from interp_rc.facts.folder import read_facts

    contrasts = held_out_contrasts(read_facts(facts), templates)
    write_contrasts(contrasts, out)
    say(f"{len(contrasts)} contrasts in {out}")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point; exit codes: 0 ok, 1 an error of ours, 2 usage, 130 interrupted."""
    # Threads that spin while they wait make two busy processes many times slower than one. Must
    # be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(standalone_mode=True)
    except InterpError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}; choose another place", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # typer makes this of an interruption
            print("interrupted; continue with --resume", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
