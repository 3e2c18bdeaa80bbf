"""How fast is causal tracing with noise (Meng et al. 2022, arXiv:2202.05262, section 2.1)?

python -m benchmarks.tracing_speed
python -m benchmarks.tracing_speed --repeats 1 --batch 1 --vocabulary 1000 --layers 4

DRAWS times, Gaussian noise is added to the embeddings of the subject's tokens, of three times the
standard deviation of all embeddings; then one token's clean state is restored at one layer, and of
attention and MLP at a window of WINDOW layers around it. The value is the target's log-probability
after the prompt, the mean over draws, in nats. `loop` goes the way of the published code: a forward
pass for each site, over the clean prompt and its noised copies. `batched_loop` runs all tokens of a
layer at once. All sides get the same noise, in one process, in turns; medians of seconds.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.patching_sides import activations
from benchmarks.side_by_side import TABLES, compare, prepared, write_table
from benchmarks.work import Setting, Work, hook
from interp_rc.engine.sites import Site
from interp_rc.facts.tracings import Tracing
from interp_rc.tools.patching.tracing import trace

COMPONENTS = ("resid_post", "attn_out", "mlp_out")
DRAWS, WINDOW = 10, 10
SUBJECT = slice(2, 5)  # its tokens
Noise = Float[Tensor, "draw token width"]  # of one prompt, at its subject
Values = Float[Tensor, "component layer position prompt"]  # nats


class Traced(Work):
    """The clean prompts of a `Work`, with the noise that all sides add."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        embeddings = self.loaded.model.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(1)
        self.noise = [
            draw_noise(embeddings, self.clean[0, SUBJECT].numel(), generator)
            for _ in range(self.pairs)
        ]

    def value(self, logits: Float[Tensor, "draw vocabulary"], prompt: int) -> Tensor:
        return logits.double().log_softmax(-1)[:, self.target[prompt]].mean()

    def empty(self) -> Values:
        shape = (len(COMPONENTS), self.layers, self.tokens, self.pairs)
        return torch.empty(shape, dtype=torch.float64)


def draw_noise(
    embeddings: Float[Tensor, "vocabulary width"], tokens: int, generator: torch.Generator
) -> Noise:
    """Three times the standard deviation of the embeddings, anew for each draw and token."""
    shape = (DRAWS, tokens, embeddings.shape[1])
    return 3 * embeddings.detach().std() * torch.randn(shape, generator=generator)


def restored(component: str, layer: int, layers: int) -> range:
    """The layers that are restored together; a window is cut at the ends, as published."""
    if component == "resid_post":
        return range(layer, layer + 1)
    return range(max(0, layer - WINDOW // 2), min(layers, layer + WINDOW - WINDOW // 2))


@contextmanager
def noised(work: Traced, rows: slice, noise: Noise) -> Iterator[None]:
    """These rows of a batch get noise at the subject, in turn if there are more rows than draws."""

    def add(_: Any, __: Any, out: Tensor) -> Tensor:
        out = out.clone()
        out[rows, SUBJECT] += noise.repeat(len(out[rows]) // len(noise), 1, 1)
        return out

    handle = work.loaded.model.get_input_embeddings().register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def loop(work: Traced) -> Values:
    """The clean state comes from the batch's own first row."""
    values = work.empty()
    for prompt, (c, component) in product(range(work.pairs), enumerate(COMPONENTS)):
        ids = work.clean[prompt].repeat(1 + DRAWS, 1)
        for layer, t in product(range(work.layers), range(work.tokens)):

            def put(x: Tensor, t: int = t) -> Tensor:
                x = x.clone()
                x[1:, t] = x[0, t]
                return x

            with ExitStack() as stack:
                stack.enter_context(noised(work, slice(1, None), work.noise[prompt]))
                for at in restored(component, layer, work.layers):
                    stack.enter_context(hook(work, component, at, put))
                logits = work.loaded.model(ids, use_cache=False).logits
            values[c, layer, t, prompt] = work.value(logits[1:, -1], prompt)
    return values


@torch.no_grad()
def batched_loop(work: Traced) -> Values:
    """The clean states are kept from one pass; rows are the draws, for one token after another."""
    values, clean = work.empty(), activations(work, COMPONENTS)
    rows = torch.arange(work.tokens * DRAWS)
    position = rows // DRAWS
    sites = product(range(work.pairs), enumerate(COMPONENTS), range(work.layers))
    for prompt, (c, component), layer in sites:
        with ExitStack() as stack:
            stack.enter_context(noised(work, slice(None), work.noise[prompt]))
            for at in restored(component, layer, work.layers):

                def put(x: Tensor, new: Tensor = clean[component, at][prompt]) -> Tensor:
                    x = x.clone()
                    x[rows, position] = new[position]
                    return x

                stack.enter_context(hook(work, component, at, put))
            ids = work.clean[prompt].repeat(len(rows), 1)
            logits = work.loaded.model(ids, use_cache=False).logits[:, -1]
        for t in range(work.tokens):
            values[c, layer, t, prompt] = work.value(logits[position == t], prompt)
    return values


def engine(work: Traced) -> Values:
    texts = [[f"w{i}" for i in ids.tolist()] for ids in work.clean]
    tracings = [
        Tracing(
            id=str(n),
            fact=str(n),
            prompt=" ".join(words),
            subject=" ".join(words[SUBJECT]),
            target=f" w{int(work.target[n])}",
            start=len(" ".join(words[: SUBJECT.start])) + 1,
        )
        for n, words in enumerate(texts)
    ]
    sites = [
        Site(c, layer, position=t, window=1 if c == "resid_post" else WINDOW)
        for c, layer, t in product(COMPONENTS, range(work.layers), range(work.tokens))
    ]
    effects = trace(work.loaded, tracings, sites, metric="log_prob", noise=work.noise)
    values = torch.tensor(effects.table.value.to_numpy())
    return values.view(work.pairs, *work.empty().shape[:3]).permute(1, 2, 3, 0)


SIDES: dict[str, Callable[[Traced], Callable[[Traced], Values]]] = {
    "engine": lambda _: engine,
    "loop": lambda _: loop,
    "batched_loop": lambda _: batched_loop,
}


def measured(setting: Setting, sides: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """One row a side."""
    work = Traced(setting)
    return [vars(setting) | row for row in compare(prepared(SIDES, sides, work), work, repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1000, 50257])
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--layers", type=int, nargs="+", default=[8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=TABLES / "tracing_speed.csv")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    sizes = product(given.vocabulary, given.batch, given.layers, [given.width], given.tokens)
    for size in sizes:
        new = measured(Setting(*size), given.sides, given.repeats)
        print(pd.DataFrame(new).to_string(index=False), flush=True)
        rows += new
        write_table(given.out, rows)


if __name__ == "__main__":
    main()
