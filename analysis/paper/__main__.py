"""The paper beside what was run here, on one page.

python -m analysis.paper                            # from the committed tables: runs/paper.html
python -m analysis.paper collect --sweeps runs      # finished sweeps into analysis/tables
python -m analysis.paper collect --runs runs/descriptions_seeds    # the paper's tests by seed
"""

import argparse
import sys
from pathlib import Path

from analysis.descriptions import TABLES
from analysis.paper.collect import collect
from analysis.paper.fact_tests import collect_fact_tests
from analysis.paper.page import write_page
from analysis.paper.parts import Paper
from interp_rc.records.errors import InterpError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.paper", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--tables", type=Path, default=TABLES)
    parser.add_argument("--out", type=Path, default=Path("runs/paper.html"))
    commands = parser.add_subparsers(dest="command")
    take = commands.add_parser("collect", help="finished sweeps or runs into committed tables")
    which = take.add_mutually_exclusive_group(required=True)
    which.add_argument("--sweeps", type=Path, help="a folder of sweeps")
    which.add_argument("--runs", type=Path, help="a folder with one run a seed")
    arguments = parser.parse_args()
    try:
        if arguments.command == "collect":
            if arguments.runs:
                collect_fact_tests(arguments.runs, arguments.tables)
                print(f"descriptions_fact_tests in {arguments.tables}")
            else:
                written = collect(arguments.sweeps, arguments.tables)
                print(f"{', '.join(written)} in {arguments.tables}")
        else:
            figures = arguments.out.parent / f"{arguments.out.stem}_figures"
            write_page(Paper(figures, arguments.tables), arguments.out)
            print(arguments.out)
    except InterpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
