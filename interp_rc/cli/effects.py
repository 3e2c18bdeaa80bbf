"""Commands that intervene, and write what it did."""

from pathlib import Path
from typing import Annotated

import typer

from interp_rc.cli.options import (
    AttributedOption,
    Device,
    DeviceOption,
    FigureFile,
    InterventionOption,
    IntoOption,
    Memory,
    MetricOption,
    ModelSource,
    Resume,
    Revision,
    Table,
    TracedOption,
    say,
)
from interp_rc.records.limits import MOST_COUNT, MOST_REPEATS, MOST_SEED


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
    seed: Annotated[
        int | None, typer.Option(min=0, max=MOST_SEED, help="Draws the noise [default: 0].")
    ] = None,
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
        int,
        typer.Option(
            min=1, max=MOST_REPEATS, help="More than 1: integrated gradients, over so many runs."
        ),
    ] = 1,
    checked: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_COUNT, help="Contrasts that are patched, too, to compare with."
        ),
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
    draws: Annotated[
        int, typer.Option(min=1, max=MOST_REPEATS, help="Of the noise, for each prompt.")
    ] = 10,
    scale: Annotated[
        float, typer.Option(min=0, help="Of the noise, in standard deviations of the subjects.")
    ] = 3.0,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_COUNT,
            help="Layers of attention or MLPs restored together [default: 10, or half of a "
            "model's that has fewer than 20].",
        ),
    ] = None,
    metric: Annotated[TracedOption, typer.Option(help="Of the target.")] = TracedOption.probability,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Draws the noise.")] = 0,
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
