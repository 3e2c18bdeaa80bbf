"""The commands: parse and print, decide nothing. Heavy imports wait until a command runs."""

import os
import sys
from typing import Annotated

import typer

from interp_rc import __version__
from interp_rc.cli.effects import attribute, patch, trace
from interp_rc.cli.facts import facts_app
from interp_rc.cli.parents import parents_app
from interp_rc.cli.runs import doctor, evaluate, mechanism, report, run
from interp_rc.records.errors import InterpError
from interp_rc.records.signals import ENDING, end_tidily

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
for command in (run, evaluate, mechanism, patch, attribute, trace, report, doctor):
    app.command()(command)
app.add_typer(facts_app, name="facts")
app.add_typer(parents_app, name="parents")


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
    """Entry point; exit codes: 0 ok, 1 an error of ours, 2 usage, 130 interrupted, 143 asked to
    end (SIGTERM), 129 as its terminal ended."""
    end_tidily()
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
        elif end.code in {128 + number for number in ENDING}:
            print("asked to end, and ended; continue with --resume", file=sys.stderr)
        raise
