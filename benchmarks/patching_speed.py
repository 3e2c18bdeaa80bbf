"""How fast is patching? This project's, plain loops, TransformerLens and nnsight, side by side.

python -m benchmarks.patching_speed              # the table: ten minutes or more on two cores
python -m benchmarks.patching_speed --growth     # and how it grows with layers and with tokens
python -m benchmarks.patching_speed --repeats 1 --batch 1 --vocabulary 1000

All sides of `patching_sides.py` on the same model and prompts in one process, in turns: medians of
seconds, how many times the engine's that is, and the largest difference from the plain loop (where
that does not run, from the batched one) in nats. The metric is the log-probability of a target of
one token.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.patching_sides import SIDES
from benchmarks.side_by_side import TABLES, compare, prepared, write_table
from benchmarks.work import Setting, Work

LAYERS, TOKENS = (4, 8, 16, 32), (10, 20, 40, 80)  # of --growth
VARIED = ["vocabulary", "pairs", "layers", "tokens"]
GROWTH_SIDES = ("engine", "batched_loop", "transformer_lens")


def growing(vocabulary: int, pairs: int, width: int) -> list[Setting]:
    """More layers at 20 tokens, more tokens at 8 layers."""
    shapes = [(layers, 20) for layers in LAYERS] + [(8, tokens) for tokens in TOKENS]
    return [
        Setting(vocabulary, pairs, layers, width, tokens)
        for layers, tokens in dict.fromkeys(shapes)
    ]


def measured(setting: Setting, sides: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """One row a side; the engine always comes first."""
    work = Work(setting)
    names = dict.fromkeys(["engine", *sides])
    return [vars(setting) | row for row in compare(prepared(SIDES, names, work), work, repeats)]


def make(settings: Iterable[Setting], sides: Sequence[str], repeats: int, out: Path) -> None:
    """Measure and print setting after setting; what is done is written each time."""
    rows: list[dict[str, Any]] = []
    for setting in settings:
        new = measured(setting, sides, repeats)
        print(pd.DataFrame(new).to_string(index=False), flush=True)
        rows += new
        write_table(out, rows)
    if len(rows) > len(new):
        print(pd.DataFrame(rows).pivot(index=VARIED, columns="side", values="times_as_long"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="vary layers, then tokens")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), help="besides the engine")
    parser.add_argument("--vocabulary", type=int, nargs="+")
    parser.add_argument("--batch", type=int, nargs="+")
    parser.add_argument("--layers", type=int, nargs="+", default=[8], help="not with --growth")
    parser.add_argument("--tokens", type=int, nargs="+", default=[20], help="not with --growth")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.growth:
        sizes = product(given.vocabulary or [1000], given.batch or [16])
        settings = [one for v, pairs in sizes for one in growing(v, pairs, given.width)]
        sides, out = GROWTH_SIDES, TABLES / "patching_growth.csv"
    else:
        shapes = product(given.layers, given.tokens)
        sizes = product(given.vocabulary or [1000, 50257], given.batch or [1, 16], shapes)
        settings = [
            Setting(v, pairs, layers, given.width, tokens) for v, pairs, (layers, tokens) in sizes
        ]
        sides, out = tuple(SIDES), TABLES / "patching_speed.csv"
    make(settings, given.sides or sides, given.repeats, given.out or out)


if __name__ == "__main__":
    main()
