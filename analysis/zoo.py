"""Does the package say of every causal architecture what Transformers says, or refuse it?

python -m analysis.zoo             # about four minutes on one core
python -m analysis.zoo --only gpt2 mamba

Writes analysis/tables/zoo.csv and, from it, docs/families.md.
"""

import argparse
import logging
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from analysis.descriptions import TABLES
from analysis.markdown import table as markdown_table
from analysis.over_seeds import write_csv
from analysis.zoo_models import architectures, build_small, small_config
from interp_rc.engine.sites import Site
from interp_rc.models.adapters.adapter import FAMILIES
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plant import word_tokenizer
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import BOS, EOS, PAD
from interp_rc.records.environment import environment
from interp_rc.records.errors import InterpError
from interp_rc.records.files import replacing, write_json
from interp_rc.records.nouns import Contrast, Span
from interp_rc.tools.patching.patching import patch

DOCS = Path(__file__).parents[1] / "docs" / "families.md"
TOLERANCE = 1e-5  # of the largest logit or log-probability there is
WORDS = (PAD, BOS, EOS, *(f"w{i}" for i in range(61)))
NEW = 6  # tokens
LIMIT = 60  # seconds for one architecture
HOLDS, REFUSED, NOT_ASKED, WRONG = "holds", "refused", "not asked", "wrong"
COLUMNS = ["model_type", "architecture", "scores", "greedy", "patching", "adapter", "reason"]


class _TooSlowError(BaseException):
    """Not an Exception: it must pass through whatever turns those into refusals."""


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooSlowError(f"its small form takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Answer(NamedTuple):
    """What came of one question about one architecture."""

    verdict: str
    reason: str = ""


def rows(model_types: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row an architecture, with the seconds that it took."""
    tokenizer = word_tokenizer(WORDS)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    for model_type in tqdm(model_types, desc="architectures", disable=None):
        began = time.perf_counter()
        row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"model_type": model_type}
        try:
            with _at_most(LIMIT):
                model = build_small(small_config(model_type, len(WORDS), **ids))
                row |= _answers(Loaded(model, tokenizer))
        except (
            Exception,
            _TooSlowError,
        ) as error:  # what a family makes of sizes it does not expect
            row |= dict.fromkeys(("scores", "greedy", "patching"), NOT_ASKED)
            row["reason"] = _first_line(error)
        next_logits.cache_clear()
        yield row | {"seconds": time.perf_counter() - began}


def _answers(loaded: Loaded) -> dict[str, str]:
    answers = {
        name: _asked(ask, loaded)
        for name, ask in (("scores", scores), ("greedy", greedy), ("patching", patching))
    }
    own = loaded.model.config.model_type in FAMILIES
    return {
        "architecture": type(loaded.model).__name__,
        "adapter": "own" if own and answers["patching"].verdict == HOLDS else "",
        "reason": "; ".join(dict.fromkeys(a.reason for a in answers.values() if a.reason)),
        **{name: answer.verdict for name, answer in answers.items()},
    }


def _asked(ask: Any, loaded: Loaded) -> Answer:
    try:
        off = ask(loaded)
    except InterpError as error:
        return Answer(REFUSED, _first_line(error))
    except Exception as error:
        return Answer(WRONG, _first_line(error))
    return (
        Answer(HOLDS) if off <= TOLERANCE else Answer(WRONG, f"off by {off:.2g} ({ask.__name__})")
    )


def _first_line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        first
        if isinstance(error, InterpError | ValueError | _TooSlowError)
        else f"{type(error).__name__}: {first}"
    )


PROMPTS = (
    "w3 w5 w7",
    "w4",
    "w8 w9 w3 w11 w20 w21 w22 w23 w24 w25",
    "w4 w5 w7",
)
TARGETS = (" w40", " w40 w42 w43", " w44 w45 w46 w47 w48 w49")


@lru_cache(maxsize=500)  # of one model: its beginnings come again
@torch.no_grad()
def next_logits(model: PreTrainedModel, ids: tuple[int, ...]) -> Tensor:
    """After one text alone, read from its beginning."""
    logits: Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
    return logits.double()


def scores(loaded: Loaded) -> float:
    """How far `score` is from reading every token after those before it, one text at a time."""
    model, tokenizer = loaded
    pairs = [(prompt, target) for prompt in PROMPTS for target in TARGETS]
    found = score(model, tokenizer, *zip(*pairs, strict=True), batch_size=3)
    off = []
    for (prompt, target), value in zip(pairs, found.log_prob.tolist(), strict=True):
        ids, start = tokenizer(prompt + target).input_ids, len(tokenizer(prompt).input_ids)
        each = [
            next_logits(model, tuple(ids[:at])).log_softmax(-1)[ids[at]]
            for at in range(start, len(ids))
        ]
        exact = float(sum(each))
        off.append(abs(value - exact) / max(1.0, abs(exact)))
    return max(off)


def greedy(loaded: Loaded) -> float:
    """How far the tokens of `complete` are below the likeliest, read as above."""
    model, tokenizer = loaded
    texts = complete(model, tokenizer, PROMPTS, max_new_tokens=[NEW] * len(PROMPTS), batch_size=2)
    off = [0.0]
    for prompt, text in zip(PROMPTS, texts, strict=True):
        ids = tokenizer(prompt).input_ids
        # Words are joined without spaces where a tokenizer's decoder adds none.
        new = tokenizer(text.replace("w", " w"), add_special_tokens=False).input_ids
        for token in [*new, *([2] if len(new) < NEW else [])]:
            logits = next_logits(model, tuple(ids))
            scale = max(1.0, float(logits[logits.isfinite()].abs().max()))
            # Special tokens are left out of a text, and stand for an end of it here.
            likeliest = float(logits.max())
            if int(logits.argmax()) in (0, 1):
                break
            off.append((likeliest - float(logits[token])) / scale)
            ids = [*ids, token]
    return max(off)


def _contrast(id: str, before: str, behind: str) -> Contrast:
    clean, corrupted = f"{before} w5 {behind}", f"{before} w6 {behind}"
    span = Span(len(before) + 1, len(before) + 3)
    return Contrast(id, id, None, clean, corrupted, " w40 w41", spans={"source": [span, span]})


CONTRASTS = (
    _contrast("short", "w3", "w7 w8"),
    _contrast("long", "w9 w10 w11", "w7 w12 w13 w14 w15"),
)


def patching(loaded: Loaded) -> float:
    """How far the stream's patches are from hooks on whole forward passes of one text alone."""
    layers = layers_of(loaded.model)
    sites = [
        Site("resid_post", layer, span)
        for layer in range(len(layers))
        for span in ("source", "prompt")
    ]
    found = patch(loaded, CONTRASTS, sites).table
    off = []
    for row in found.itertuples():
        contrast = next(c for c in CONTRASTS if c.id == row.pair)
        exact = patched(loaded, layers[row.layer], contrast, row.span)
        off.append(abs(row.value - exact) / max(1.0, abs(exact)))
    if len(off) != len(CONTRASTS) * len(sites):
        raise ValueError(f"{len(off)} patches for {len(CONTRASTS) * len(sites)}")
    return max(off)


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The list of the decoder's layers: the largest of that length, none of another tower."""
    text = model.config.get_text_config(decoder=True)
    count, body = text.num_hidden_layers, model if text is model.config else model.get_decoder()
    lists = [m for m in body.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not lists:
        raise InterpError("its layers are in no list of as many modules")
    return max(lists, key=lambda one: sum(p.numel() for p in one.parameters()))


@torch.no_grad()
def patched(loaded: Loaded, layer: nn.Module, contrast: Contrast, span: str) -> float:
    """The target's log-probability with the clean run's stream at the span's last token."""
    model, tokenizer = loaded
    kept: list[Tensor] = []
    ends = {"source": contrast.spans["source"][0].end, "prompt": len(contrast.clean)}
    at = len(tokenizer(contrast.clean[: ends[span]]).input_ids) - 1

    def keep(_: nn.Module, __: Any, out: Any) -> None:
        kept.append((out[0] if isinstance(out, tuple | list) else out)[0, at].clone())

    def put(_: nn.Module, __: Any, out: Any) -> Any:
        value = (out[0] if isinstance(out, tuple | list) else out).clone()
        value[0, at] = kept[0]
        return type(out)([value, *out[1:]]) if isinstance(out, tuple | list) else value

    for text, hook in ((contrast.clean, keep), (contrast.corrupted, put)):
        ids, start = tokenizer(text + contrast.target).input_ids, len(tokenizer(text).input_ids)
        handle = layer.register_forward_hook(hook)
        try:
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()
        finally:
            handle.remove()
    each = logits.log_softmax(-1)
    return float(sum(each[i - 1, ids[i]] for i in range(start, len(ids))))


def page(found: pd.DataFrame, transformers: str) -> str:
    """docs/families.md, from the table and the version of Transformers that it was made with."""
    found = found.fillna("")
    whole = found[(found.scores == HOLDS) & (found.greedy == HOLDS)]
    refused, unbuilt = found[found.scores == REFUSED], found[found.scores == NOT_ASKED]
    lines = found[found.scores.isin((HOLDS, WRONG)) | found.greedy.isin((HOLDS, WRONG))]
    return "\n\n".join(
        [
            "# Model families",
            "Generated by `python -m analysis.zoo`; do not edit. Every architecture that "
            f"Transformers {transformers} lists for causal language modelling is built "
            "small, with random weights, and asked: do log-probabilities equal a pass token by "
            "token over one text alone, is greedy text the forward pass's likeliest, and does "
            "patching the stream equal hooks on whole forward passes? Within "
            f"{TOLERANCE:g} of the largest value each, or the model is refused with a reason.",
            f"Of {len(found)} architectures {len(whole)} are scored and completed exactly, "
            f"{len(refused)} are refused, and {len(unbuilt)} could not be built small and fast. "
            f"The stream of {int((found.patching == HOLDS).sum())} can be patched; `own` marks "
            "those with an adapter, in which heads and neurons can be patched, too, and faster.",
            markdown_table(
                ["model type", "scores", "greedy text", "patching", "adapter", "why not"],
                [[r.model_type, r.scores, r.greedy, r.patching, r.adapter, _cell(r.reason)]
                 for r in lines.itertuples()],
            ),
            "## Refused",
            markdown_table(["model type", "why"],
                           [[r.model_type, _cell(r.reason)] for r in refused.itertuples()]),
            "## Not asked",
            markdown_table(["model type", "why"],
                           [[r.model_type, _cell(r.reason)] for r in unbuilt.itertuples()]),
        ]
    ) + "\n"  # fmt: skip


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def quietly() -> None:
    """Transformers warns of every default that is not fit for a small model."""
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity(logging.CRITICAL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", help="model types to look at; nothing is written")
    only = parser.parse_args().only
    quietly()
    torch.set_num_threads(1)
    found = pd.DataFrame(rows(only or architectures()))
    if only:
        print(found.to_string())
        return
    write_csv(TABLES, "zoo", found[COLUMNS])
    here = environment()
    write_json(TABLES / "zoo.environment.json", {"table": here})
    DOCS.parent.mkdir(exist_ok=True)
    with replacing(DOCS) as temporary:
        temporary.write_text(page(found, here["packages"]["transformers"]), encoding="utf-8")
    print(found.groupby(["scores", "greedy", "patching"]).size().to_string())
    print(f"{found.seconds.sum():.0f} s in all, {found.seconds.max():.1f} s at most")


if __name__ == "__main__":
    main()
