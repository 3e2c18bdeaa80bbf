"""The commands: parse and print, decide nothing. Heavy imports wait until a command runs."""

import io
import os
import sys
import tempfile
import traceback
from typing import Annotated, NoReturn

import typer

from interp_rc import __version__
from interp_rc.cli.effects import attribute, patch, trace
from interp_rc.cli.facts import facts_app
from interp_rc.cli.parents import parents_app
from interp_rc.cli.runs import doctor, evaluate, mechanism, report, run
from interp_rc.records.disk import is_full
from interp_rc.records.errors import InterpError
from interp_rc.records.signals import ENDING, end_tidily

LONGEST = 4_000
"""Characters of an error's message."""

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


def _end_if_full(error: Exception) -> None:
    """Commands that know what is kept say it themselves; this is for all others."""
    if is_full(error):
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        _end(f"no space is left ({first}); make space, or choose another place, and run it again")


def main() -> None:
    """Entry point; exit codes: 0 ok, 1 an error of ours, 2 usage, 130 interrupted, 143 asked to
    end (SIGTERM), 129 as its terminal ended."""
    end_tidily()
    # Threads that spin while they wait make two busy processes many times slower than one. Must
    # be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding that lacks a character, or a path
            stream.reconfigure(errors="backslashreplace")  # that is no text, ends no command
    try:
        app(standalone_mode=True)
    except InterpError as error:
        _end(str(error))
    except OSError as error:
        _end_if_full(error)
        place = f"{error.filename}: " if error.filename else ""
        _end(f"{place}{error.strerror or error}; choose another place")
    except MemoryError:
        _end("there is not enough memory; ask for less, or for smaller batches")
    except SystemExit as end:
        if end.code == 130:  # typer makes this of an interruption
            print("interrupted; continue with --resume", file=sys.stderr)
        elif end.code in {128 + number for number in ENDING}:
            print("asked to end, and ended; continue with --resume", file=sys.stderr)
        raise
    except Exception as error:
        _end_if_full(error)
        _end(
            f"this is a fault of interp-rc itself ({type(error).__name__}: {error}), whose trace "
            f"is in {_kept_trace()}; please report it with that file"
        )


def _end(message: str) -> NoReturn:
    """Say an error of ours, in a few lines at the most, and exit."""
    shown = message if len(message) <= LONGEST else f"{message[:LONGEST]} …"
    print(f"error: {shown}", file=sys.stderr)
    sys.exit(1)


def _kept_trace() -> str:
    """The file that the trace of the exception under way is written to."""
    handle, name = tempfile.mkstemp(prefix="interp-rc-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(f"interp-rc {__version__}\n{traceback.format_exc()}")
    return name
