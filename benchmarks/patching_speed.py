"""How fast is patching? This project's, plain loops and TransformerLens, on the same prompts.

python -m benchmarks.patching_speed              # the table: about ten minutes on two cores
python -m benchmarks.patching_speed --repeats 1 --batch 1 --vocabulary 1000

Every site of `resid_pre`, `attn_out` and `mlp_out` at every layer and position, all sides in one
process, in turns; medians of seconds, and the largest difference from the plain loop in nats. The
metric is the log-probability of a target of one token. The loops and TransformerLens patch all
pairs of the batch in one forward pass; the batched loop all positions too.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from interp_rc.mechanism.patching import patch
from interp_rc.mechanism.sites import Site
from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded
from interp_rc.records.environment import environment
from interp_rc.records.files import replacing, write_json
from interp_rc.records.nouns import Contrast

TABLE = Path(__file__).parent / "tables" / "patching_speed.csv"
COMPONENTS = ("resid_pre", "attn_out", "mlp_out")
SAME = 5  # tokens at the beginning that both prompts share
Values = Tensor  # component, layer, position, pair: nats


class Work:
    """A model with random weights, and prompts that differ from position SAME on."""

    def __init__(self, vocabulary: int, pairs: int, layers: int, width: int, tokens: int) -> None:
        words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}, unk_token="w0"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w0")
        size = Size(shape="gpt2", layers=layers, width=width, heads=4, context=tokens + 1)
        config = model_config(size, vocabulary, bos=0, eos=0, pad=0)
        self.loaded = Loaded(build_model(config, seed=0).eval(), tokenizer)
        draw = torch.Generator().manual_seed(0)
        self.clean, self.corrupted = torch.randint(vocabulary, (2, pairs, tokens), generator=draw)
        self.clean[:, :SAME] = self.corrupted[:, :SAME]
        self.target = torch.randint(vocabulary, (pairs,), generator=draw)
        self.layers, self.tokens, self.pairs = layers, tokens, pairs

    def metric(self, logits: Tensor) -> Tensor:
        """Of each row at its last position; rows are the pairs, again and again."""
        target = self.target.repeat(len(logits) // self.pairs)
        found = logits[:, -1].double()
        return found.gather(1, target[:, None])[:, 0] - found.logsumexp(-1)

    def empty(self) -> Values:
        return torch.empty(
            len(COMPONENTS), self.layers, self.tokens, self.pairs, dtype=torch.float64
        )


def engine(work: Work) -> Values:
    def text(ids: Tensor) -> str:
        return " ".join(f"w{i}" for i in ids.tolist())

    contrasts = [
        Contrast(str(i), str(i), "forward", text(one), text(other), f" w{int(target)}", None, {})
        for i, (one, other, target) in enumerate(
            zip(work.clean, work.corrupted, work.target, strict=True)
        )
    ]
    sites = [
        Site(component, layer, position=position)
        for component, layer, position in product(
            COMPONENTS, range(work.layers), range(work.tokens)
        )
    ]
    values = patch(work.loaded, contrasts, sites).table.value.to_numpy()
    return torch.tensor(values).view(work.pairs, *work.empty().shape[:3]).permute(1, 2, 3, 0)


@contextmanager
def hook(work: Work, component: str, layer: int, change: Callable[[Tensor], Tensor | None]) -> Any:
    """Read or replace one activation in the model's forward passes."""
    block = work.loaded.model.transformer.h[layer]

    def at_input(_: Any, args: Any) -> Any:
        new = change(args[0])
        return None if new is None else (new, *args[1:])

    def at_output(_: Any, __: Any, out: Any) -> Any:
        new = change(out[0] if isinstance(out, tuple) else out)
        if new is None:
            return None
        return (new, *out[1:]) if isinstance(out, tuple) else new

    if component == "resid_pre":
        handle = block.register_forward_pre_hook(at_input)
    else:
        module = block.attn if component == "attn_out" else block.mlp
        handle = module.register_forward_hook(at_output)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def activations(work: Work) -> dict[tuple[str, int], Tensor]:
    found: dict[tuple[str, int], Tensor] = {}
    with ExitStack() as stack:
        for place in product(COMPONENTS, range(work.layers)):
            stack.enter_context(hook(work, *place, lambda x, at=place: found.update({at: x})))
        work.loaded.model(work.clean, use_cache=False)
    return found


@torch.no_grad()
def loop(work: Work) -> Values:
    values, clean = work.empty(), activations(work)
    for (c, component), layer, t in product(
        enumerate(COMPONENTS), range(work.layers), range(work.tokens)
    ):

        def put(x: Tensor, new: Tensor = clean[component, layer], t: int = t) -> Tensor:
            x = x.clone()
            x[:, t] = new[:, t]
            return x

        with hook(work, component, layer, put):
            logits = work.loaded.model(work.corrupted, use_cache=False).logits
        values[c, layer, t] = work.metric(logits)
    return values


@torch.no_grad()
def batched_loop(work: Work) -> Values:
    values, clean = work.empty(), activations(work)
    rows = torch.arange(work.tokens * work.pairs)
    position = rows // work.pairs
    for (c, component), layer in product(enumerate(COMPONENTS), range(work.layers)):

        def put(x: Tensor, new: Tensor = clean[component, layer]) -> Tensor:
            x = x.clone()
            x[rows, position] = new[rows % work.pairs, position]
            return x

        with hook(work, component, layer, put):
            ids = work.corrupted.repeat(work.tokens, 1)
            logits = work.loaded.model(ids, use_cache=False).logits
        values[c, layer] = work.metric(logits).view(work.tokens, work.pairs)
    return values


def transformer_lens(work: Work) -> Callable[[Work], Values]:
    """Its own utility, which gives one number a site: the mean over pairs."""
    from transformer_lens import patching
    from transformer_lens.model_bridge import TransformerBridge

    folder = tempfile.mkdtemp()
    work.loaded.tokenizer.save_pretrained(folder)
    work.loaded.model.config.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = copy.deepcopy(work.loaded.model)  # its modules are exchanged
    bridge = TransformerBridge.boot_transformers(
        "random", hf_model=model, tokenizer=tokenizer, dtype=torch.float32
    )
    utilities = (
        patching.get_act_patch_resid_pre,
        patching.get_act_patch_attn_out,
        patching.get_act_patch_mlp_out,
    )

    @torch.no_grad()
    def run(work: Work) -> Values:
        _, cache = bridge.run_with_cache(work.clean)
        return torch.stack(
            [
                one(bridge, work.corrupted, cache, lambda logits: work.metric(logits).mean())
                for one in utilities
            ]
        ).double()[..., None]

    return run


def measure(
    vocabulary: int, pairs: int, layers: int, width: int, tokens: int, repeats: int
) -> list[dict[str, Any]]:
    work = Work(vocabulary, pairs, layers, width, tokens)
    sides = {"engine": engine, "loop": loop, "loop, positions batched": batched_loop}
    sides["TransformerLens"] = transformer_lens(work)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    values = {}
    for _ in range(repeats):
        for name, side in sides.items():
            begin = time.perf_counter()
            values[name] = side(work)
            seconds[name].append(time.perf_counter() - begin)
    setting = {
        "vocabulary": vocabulary,
        "pairs": pairs,
        "layers": layers,
        "width": width,
        "tokens": tokens,
    }
    ours = float(np.median(seconds["engine"]))
    return [
        setting
        | {
            "side": name,
            "seconds": round(float(np.median(taken)), 3),
            "times_as_long": round(float(np.median(taken)) / ours, 2),
            "largest_difference": float(_difference(values[name], values["loop"])),
        }
        for name, taken in seconds.items()
    ]


def _difference(found: Values, expected: Values) -> Tensor:
    if found.shape[-1] != expected.shape[-1]:
        expected = expected.mean(-1, keepdim=True)
    return (found - expected).abs().max()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1000, 50257])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--layers", type=int, nargs="+", default=[8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for vocabulary, pairs, layers, tokens in product(
        given.vocabulary, given.batch, given.layers, given.tokens
    ):
        rows += measure(vocabulary, pairs, layers, given.width, tokens, given.repeats)
        print(pd.DataFrame(rows[-4:]).to_string(index=False), flush=True)
    with replacing(given.out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    write_json(given.out.with_suffix(".environment.json"), environment())


if __name__ == "__main__":
    main()
