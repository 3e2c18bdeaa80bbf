"""How many floating-point operations does a sweep of patches take, and how many must it take?

python -m benchmarks.patching_operations

Counted: multiplications and additions of matrix products and attention, while the engine and the
plain loop sweep the sites of `patching_sides.py`. `minimum` is what the changed activations that
reach the metric cost if nothing else is computed and no unchanged one twice, in closed form: both
prompts once (what they share once for both), then of each patch that can have an effect what is
above and not before it, of the last layer only keys, values and what the metric reads. `adapter` is
what its proof takes, once for each model, and no part of the engine's number.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.patching_sides import COMPONENTS, SIDES
from benchmarks.side_by_side import TABLES, write_table
from benchmarks.work import Setting, Work
from interp_rc.models.adapters.adapter import Adapter


def counted(run: Callable[[], Any]) -> int:
    """Operations of a run; in one thread, because another thread's are not seen."""

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    # torch's own counter leaves out attention on a CPU.
    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
            run()
    finally:
        torch.set_num_threads(threads)
    return counter.get_total_flops()


def minimum(work: Work) -> int:
    """Of all pairs."""
    return sum(
        _minimum_of_pair(work.setting, clean, corrupted)
        for clean, corrupted in zip(work.clean, work.corrupted, strict=True)
    )


def _minimum_of_pair(setting: Setting, clean: Tensor, corrupted: Tensor) -> int:
    differ = (clean != corrupted).tolist()
    first, last = differ.index(True), setting.layers - 1
    others = [t for t, differs in enumerate(differ) if differs]
    total = above(setting, 0, range(setting.tokens)) + above(setting, 0, others)
    for component, layer, t in product(COMPONENTS, range(setting.layers), range(setting.tokens)):
        if component == "resid_pre":
            changes = differ[t] if layer == 0 else t >= first
            total += above(setting, layer, [t]) if changes else 0
        elif t >= first and (layer < last or t == setting.tokens - 1):
            mlp = 8 * 2 * setting.width**2 if component == "attn_out" else 0
            total += mlp + above(setting, layer + 1, [t])
    return total


def above(setting: Setting, layer: int, new: Sequence[int]) -> int:
    """Operations from layer `layer` up to the logits, where its input is new at `new` only.

    Of a GPT-2, with an MLP of four times its width. In that layer only these positions have new
    keys, values and queries; every later position attends to them, so its output is new.
    """
    square, n = 2 * setting.width**2, setting.tokens  # a product with a matrix, for one token
    total = 0
    for at in range(layer, setting.layers):
        read = range(new[0], n) if at < setting.layers - 1 else range(n - 1, n)
        queries = len(set(new) & set(read))
        total += square * (2 * len(new) + queries)  # keys, values; queries
        total += sum(4 * setting.width * (t + 1) for t in read)  # attention to all up to itself
        total += square * (1 + 8) * len(read)  # its output, the MLP
        new = range(new[0], n)
    return total + 2 * setting.width * setting.vocabulary


def rows(setting: Setting) -> list[dict[str, Any]]:
    work = Work(setting)
    needed = minimum(work)
    operations = {
        "minimum": needed,
        "adapter": counted(lambda: Adapter(work.loaded.model)),
        **{name: counted(partial(SIDES[name](work), work)) for name in ("engine", "loop")},
    }
    return [
        vars(setting) | {"side": name, "operations": n, "times_the_minimum": round(n / needed, 3)}
        for name, n in operations.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1000, 50257])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--layers", type=int, nargs="+", default=[8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--out", type=Path, default=TABLES / "patching_operations.csv")
    given = parser.parse_args()
    sizes = product(given.vocabulary, given.batch, given.layers, [given.width], given.tokens)
    found = [row for size in sizes for row in rows(Setting(*size))]
    write_table(given.out, found)
    print(pd.DataFrame(found).to_string(index=False))


if __name__ == "__main__":
    main()
