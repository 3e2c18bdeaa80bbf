"""One sweep of patches, as this project, plain loops, TransformerLens and nnsight do it.

Every site of COMPONENTS at every layer and position; the clean prompt's activation goes into the
corrupted one. The loops and the peers patch all pairs of the batch in one forward pass; the batched
loop and nnsight all positions too, which is nnsight's documented way to a map of layers by
positions (https://github.com/ndif-team/nnsight, docs/patterns/activation-patching.md).
TransformerLens' utility runs a forward pass a site; it gets a cache of the three hooks only, no
gradients and `reduce="none"`, which gives it a value per pair at no cost.
"""

import contextlib
import copy
import io
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.work import Work, hook
from interp_rc.engine.sites import Site
from interp_rc.records.nouns import Contrast
from interp_rc.tools.patching.patching import patch

COMPONENTS = ("resid_pre", "attn_out", "mlp_out")
Values = Float[Tensor, "component layer position pair"]  # nats
Side = Callable[[Work], Values]


def contrasts_of(work: Work) -> list[Contrast]:
    def text(ids: Tensor) -> str:
        return " ".join(f"w{i}" for i in ids.tolist())

    return [
        Contrast(str(i), str(i), "forward", text(one), text(other), f" w{int(target)}", None, {})
        for i, (one, other, target) in enumerate(
            zip(work.clean, work.corrupted, work.target, strict=True)
        )
    ]


def engine(work: Work) -> Values:
    contrasts = contrasts_of(work)
    sites = [
        Site(component, layer, position=position)
        for component, layer, position in product(
            COMPONENTS, range(work.layers), range(work.tokens)
        )
    ]
    values = patch(work.loaded, contrasts, sites).table.value.to_numpy()
    return torch.tensor(values).view(work.pairs, *_empty(work).shape[:3]).permute(1, 2, 3, 0)


@torch.no_grad()
def loop(work: Work) -> Values:
    values, clean = _empty(work), activations(work, COMPONENTS)
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
    values, clean = _empty(work), activations(work, COMPONENTS)
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


@torch.no_grad()
def activations(work: Work, components: tuple[str, ...]) -> dict[tuple[str, int], Tensor]:
    """Of the clean prompts."""
    found: dict[tuple[str, int], Tensor] = {}
    with ExitStack() as stack:
        for place in product(components, range(work.layers)):
            stack.enter_context(hook(work, *place, lambda x, at=place: found.update({at: x})))
        work.loaded.model(work.clean, use_cache=False)
    return found


def transformer_lens(work: Work) -> Side:
    from transformer_lens import patching
    from transformer_lens.model_bridge import TransformerBridge

    with tempfile.TemporaryDirectory() as folder:  # the bridge wants a tokenizer with a name
        work.loaded.tokenizer.save_pretrained(folder)
        work.loaded.model.config.save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            "random",
            hf_model=_copy(work),
            tokenizer=PreTrainedTokenizerFast.from_pretrained(folder),
            dtype=torch.float32,
        )
    hooks = [f"blocks.{i}.hook_{name}" for i, name in product(range(work.layers), COMPONENTS)]
    utilities = [getattr(patching, f"get_act_patch_{name}") for name in COMPONENTS]

    @torch.no_grad()
    def run(work: Work) -> Values:
        _, cache = bridge.run_with_cache(work.clean, names_filter=hooks)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            found = [
                one(bridge, work.corrupted, cache, work.metric, reduce="none").values
                for one in utilities
            ]
        return torch.stack(found).double()

    return run


def nnsight(work: Work) -> Side:
    os.environ.setdefault("NNSIGHT_CONFIG", str(Path(__file__).with_name("nnsight.yaml")))
    import nnsight
    from nnsight import TransformersModel

    model = TransformersModel(_copy(work), tokenizer=work.loaded.tokenizer, task="text-generation")
    blocks = model.transformer.h

    @torch.no_grad()
    def run(work: Work) -> Values:
        values = _empty(work)
        with model.trace(work.clean):
            clean = nnsight.save(
                [(b.input.clone(), b.attn.output[0].clone(), b.mlp.output.clone()) for b in blocks]
            )
        for c, layer in product(range(len(COMPONENTS)), range(work.layers)):
            block, new = blocks[layer], clean[layer][c]
            with model.trace() as tracer:
                found = nnsight.save([])
                for t in range(work.tokens):
                    with tracer.invoke(work.corrupted):
                        if COMPONENTS[c] == "resid_pre":
                            block.input[:, t] = new[:, t]
                        elif COMPONENTS[c] == "attn_out":
                            block.attn.output[0][:, t] = new[:, t]
                        else:
                            block.mlp.output[:, t] = new[:, t]
                        found.append(work.metric(model.output.logits))
            values[c, layer] = torch.stack(found)
        return values

    return run


def _copy(work: Work) -> PreTrainedModel:
    """For those who exchange a model's modules or hook into them."""
    return copy.deepcopy(work.loaded.model)


def _empty(work: Work) -> Values:
    return torch.empty(len(COMPONENTS), work.layers, work.tokens, work.pairs, dtype=torch.float64)


SIDES: dict[str, Callable[[Work], Side]] = {
    "engine": lambda _: engine,
    "loop": lambda _: loop,
    "batched_loop": lambda _: batched_loop,
    "transformer_lens": transformer_lens,
    "nnsight": nnsight,
}
