"""How fast are the values of edits sought (Meng et al. 2022, arXiv:2202.05262, eq. 4)?

python -m benchmarks.editing_speed
python -m benchmarks.editing_speed --repeats 1 --requests 4 --vocabulary 1000 --layers 4

For each request, STEPS steps of Adam look for what the MLP of the layer at a quarter of the depth
should write more at the source's last token, so that a target follows PROMPTS prompts. `engine`
seeks all at once, `engine_one_by_one` one after the other. `loop` goes the way of the published
code: one request after the other, each step a forward and a backward pass over its prompts and the
neutral one, from the embeddings to the logits of every token. All seek the same, in one process, in
turns; medians of seconds.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.side_by_side import TABLES, compare, prepared, write_table
from benchmarks.work import Setting, Work, hook
from interp_rc.records.nouns import Span
from interp_rc.tools.editing.requests import Request
from interp_rc.tools.editing.values import Search, changes_sought

PROMPTS, STEPS = 5, 20
SOURCE = slice(2, 5)  # its tokens
SEARCH = Search(steps=STEPS)
Values = Float[Tensor, "request width"]


@dataclass(frozen=True)
class Sizes:
    """Of the model, the prompts, and how many edits are asked for."""

    vocabulary: int
    requests: int
    layers: int
    width: int
    tokens: int


class Wanted(Work):
    """Requests of `PROMPTS` prompts each, that share their source and their target."""

    def __init__(self, sizes: Sizes) -> None:
        pairs = sizes.requests * PROMPTS
        super().__init__(Setting(sizes.vocabulary, pairs, sizes.layers, sizes.width, sizes.tokens))
        self.layer = sizes.layers // 4
        groups = self.clean.view(sizes.requests, PROMPTS, sizes.tokens)
        groups[:, :, SOURCE] = groups[:, :1, SOURCE]
        self.groups, self.answers = groups, self.target.view(-1, PROMPTS)[:, 0]
        self.loaded.model.requires_grad_(False)

    @property
    def requests(self) -> list[Request]:
        found = []
        for n, (prompts, answer) in enumerate(zip(self.groups, self.answers, strict=True)):
            texts = [[f"w{i}" for i in ids] for ids in prompts.tolist()]
            begins = [len(" ".join(words[: SOURCE.start])) + 1 for words in texts]
            length = len(" ".join(texts[0][SOURCE]))
            spans = tuple(Span(begin, begin + length) for begin in begins)
            prompts_ = tuple(" ".join(words) for words in texts)
            found.append(Request(str(n), prompts_, spans, (f" w{int(answer)}",) * PROMPTS))
        return found


def engine(work: Wanted) -> Values:
    return changes_sought(work.loaded, work.requests, work.layer, SEARCH)


def one_by_one(work: Wanted) -> Values:
    return torch.cat(
        [changes_sought(work.loaded, [one], work.layer, SEARCH) for one in work.requests]
    )


def loop(work: Wanted) -> Values:
    return torch.stack([_sought(work, n) for n in range(len(work.groups))]).double()


def _sought(work: Wanted, number: int) -> Float[Tensor, " width"]:
    """The neutral prompt is the last row: the source, and a word that is unknown."""
    prompts, model = work.groups[number], work.loaded.model
    ids = torch.zeros(PROMPTS + 1, work.tokens, dtype=torch.long)
    ids[:-1] = prompts
    source = prompts[0, SOURCE]
    ids[-1, : len(source)] = source
    at = torch.tensor([SOURCE.stop - 1] * PROMPTS + [len(source) - 1])
    rows = torch.arange(len(ids))
    written: dict[str, Tensor] = {}

    def keep(x: Tensor) -> None:
        written["before"] = x[rows, at].detach()

    with torch.no_grad(), hook(work, "mlp_out", work.layer, keep):
        before = model(ids, use_cache=False).logits[-1, len(source)].log_softmax(-1)
    length = written["before"][:-1].norm(dim=1).mean()
    scale = length / written["before"].shape[1] ** 0.5
    units = torch.zeros(written["before"].shape[1], requires_grad=True)
    adam = torch.optim.Adam([units], lr=SEARCH.rate)

    def add(x: Tensor) -> Tensor:
        x = x.clone()
        x[rows, at] = x[rows, at] + units * scale
        return x

    for _ in range(STEPS):
        with hook(work, "mlp_out", work.layer, add):
            logits = model(ids, use_cache=False).logits
        said = logits[:-1, -1].log_softmax(-1)[:, work.answers[number]]
        after = logits[-1, len(source)].log_softmax(-1)
        loss = -said.mean() + SEARCH.kl * (before.exp() * (before - after)).sum()
        loss = loss + SEARCH.decay * (units * scale).norm() ** 2 / length**2
        [units.grad] = torch.autograd.grad(loss, [units])
        adam.step()
        with torch.no_grad():
            size = units.norm() / len(units) ** 0.5
            units *= (SEARCH.bound / size.clamp(min=1e-12)).clamp(max=1)
    return (units * scale).detach()


SIDES: dict[str, Callable[[Wanted], Callable[[Wanted], Values]]] = {
    "engine": lambda _: engine,
    "engine_one_by_one": lambda _: one_by_one,
    "loop": lambda _: loop,
}


def measured(sizes: Sizes, sides: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """One row a side."""
    work = Wanted(sizes)
    return [vars(sizes) | row for row in compare(prepared(SIDES, sides, work), work, repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1000, 50257])
    parser.add_argument("--requests", type=int, nargs="+", default=[20])
    parser.add_argument("--layers", type=int, nargs="+", default=[8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=TABLES / "editing_speed.csv")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    sizes = product(given.vocabulary, given.requests, given.layers, [given.width], given.tokens)
    for size in sizes:
        new = measured(Sizes(*size), given.sides, given.repeats)
        print(pd.DataFrame(new).to_string(index=False), flush=True)
        rows += new
        write_table(given.out, rows)


if __name__ == "__main__":
    main()
