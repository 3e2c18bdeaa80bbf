"""Commands that intervene, and write what it did."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from interp_rc.cli.options import MODEL, RESUME, REVISION, say
from interp_rc.pipeline.effect_options import AttributeOptions, PatchOptions, TraceOptions
from interp_rc.records.limits import MOST_COUNT, MOST_REPEATS, MOST_SEED

if TYPE_CHECKING:
    import pandas as pd

Some = TypeVar("Some")
SHOWN = {
    "model": MODEL,
    "revision": REVISION,
    "out": typer.Option("--out", help="The table to write.", metavar="PARQUET"),
    "into": typer.Option(help="The prompt whose run is changed."),
    "figure": typer.Option(help="Draw the map too, as .svg or .png.", metavar="FILE"),
    "device": typer.Option(help="Where to compute; spread: layers over all devices."),
    "memory": typer.Option(min=0, help="GiB to compute in [default: half of what is free]."),
    "resume": RESUME,
}
"""How the options that these commands share are shown."""


def takes(
    options: type[Some], **shown: Any
) -> Callable[[Callable[[Some], None]], Callable[..., None]]:
    """Make a command of what takes some options: each field is one, shown as said here or in
    `SHOWN`."""
    hints = get_type_hints(options)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=Annotated[hints[field.name], (SHOWN | shown)[field.name]],
        )
        for field in fields(options)  # type: ignore[arg-type]
    ]

    def command_of(run: Callable[[Some], None]) -> Callable[..., None]:
        @wraps(run)
        def command(**given: Any) -> None:
            run(options(**given))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return command_of


@takes(
    PatchOptions,
    pairs=typer.Option(help="Contrasts, one JSON object a line."),
    site=typer.Option(
        help="Where, e.g. mlp_out.0@A.last; see above. May come several times.", metavar="SITE"
    ),
    metric=typer.Option(help="Of the target; logit_difference needs a foil."),
    intervention=typer.Option(
        help="What is put in: what the other prompt has there [default], or this."
    ),
    scale=typer.Option(min=0, help="Standard deviation of the noise."),
    seed=typer.Option(min=0, max=MOST_SEED, help="Draws the noise [default: 0]."),
    from_model=typer.Option(
        help="Put in what this model has there, reading the clean prompt.", metavar="DIR_OR_ID"
    ),
    without_adapters=typer.Option(
        "--without-adapters", help="Put in what the model has there without its LoRA adapter."
    ),
    floor=typer.Option(
        "--floor/--no-floor",
        help="Measure what rounding alone does, site by site [default: in half precision].",
    ),
)
def patch(options: PatchOptions) -> None:
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

    _tell(patch_file(options), options.out, options.figure)


@takes(
    AttributeOptions,
    pairs=typer.Option(help="Contrasts, one JSON object a line, as in patch."),
    site=typer.Option(help="As in patch, of one layer each.", metavar="SITE"),
    metric=typer.Option(help="Of the target; logit_difference needs a foil."),
    steps=typer.Option(
        min=1, max=MOST_REPEATS, help="More than 1: integrated gradients, over so many runs."
    ),
    checked=typer.Option(
        min=0, max=MOST_COUNT, help="Contrasts that are patched, too, to compare with."
    ),
)
def attribute(options: AttributeOptions) -> None:
    r"""Estimate what patch finds, at all sites from one backward pass, and how well.

    Attribution patching (Nanda 2023; Syed et al. 2023), with steps its integrated-gradients form.
    Its rank correlation with the exact effects of some contrasts is said beside it.

    Example:

      interp-rc attribute --model runs/demo/model --pairs contrasts.jsonl
      --site "z.h\*@source.last" --site "mlp_out@source.last" --out estimated.parquet
    """
    from interp_rc.pipeline.attribute import attribute_file

    table, agreement = attribute_file(options)
    _tell(table, options.out, options.figure)
    if agreement is not None:
        said = agreement.text(2).replace(" correlation", "")
        say(f"rank correlation with patch: {said} (facts: {agreement.n})")


@takes(
    TraceOptions,
    pairs=typer.Option(help="Prompts, one JSON object a line."),
    site=typer.Option(
        help="As in patch [default: the stream after each layer, and windows of attention and of "
        "the MLPs, at every token]. May come several times.",
        metavar="SITE",
    ),
    draws=typer.Option(min=1, max=MOST_REPEATS, help="Of the noise, for each prompt."),
    scale=typer.Option(min=0, help="Of the noise, in standard deviations of the subjects."),
    window=typer.Option(
        min=1,
        max=MOST_COUNT,
        help="Layers of attention or MLPs restored together [default: 10, or half of a model's "
        "that has fewer than 20].",
    ),
    metric=typer.Option(help="Of the target."),
    seed=typer.Option(min=0, max=MOST_SEED, help="Draws the noise."),
)
def trace(options: TraceOptions) -> None:
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

    _tell(trace_file(options), options.out, options.figure)


def _tell(table: "pd.DataFrame", out: Path, figure: Path | None) -> None:
    print(table.to_string(index=False))
    if table.attrs["left_out"]:
        say(f"the largest effects; {table.attrs['left_out']} more in the table")
    say(f"effects: {out}")
    if figure is not None:
        say(f"figure: {figure}")
