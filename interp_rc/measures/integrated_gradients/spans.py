"""Attributions to tokens, summed by what the tokens are."""

from collections.abc import Iterator, Sequence

import pandas as pd

from interp_rc.engine.sites import PROMPT, covered
from interp_rc.records.nouns import Span
from interp_rc.tools.attribution.integrated_gradients import Attributed

TARGET, ANSWER, REST = "target", "answer", "rest"
COLUMNS = (
    "pair fact order site layer span token method effect whole completeness complete steps "
    "structural_zero place"
).split()


def by_span(found: Sequence[Attributed], layers: int) -> pd.DataFrame:
    """One row a contrast, place, span and method; `effect` and `whole` in nats.

    Spans are those of the contrast that lie in its clean prompt, all of their tokens; the
    prompt's last token; the tokens that stand for the target (teacher-forced, or masks); those that
    predict the `answer` (the last of the prompt, and the target's but its last; or the masks); and
    the rest, which none of these holds. Where a span ends the prompt, its last token counts in
    both.
    `place` names them as one word. `whole`, `completeness`, `complete` and `steps` are those of
    integrated gradients; input x gradient promises no sum, and has none. `structural_zero`: no
    gradient reaches the span from what is read.
    """
    rows = [row for one in found for row in _rows(one, layers)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"layer": "Int64", "steps": "Int64"})


def _rows(one: Attributed, layers: int) -> Iterator[dict[str, object]]:
    reads = set(one.input.reads)
    local = one.place.layer == layers - 1 and one.place.component != "resid_pre"
    for place, tokens in spans_of(one).items():
        about = {
            "pair": one.contrast.id,
            "fact": one.contrast.fact,
            "order": one.contrast.order,
            "site": one.place.component,
            "layer": one.place.layer,
            "span": PROMPT if place == LAST else place,
            "token": "last" if place == LAST else "all",
            "structural_zero": not tokens or (local and not reads & set(tokens)),
            "place": place,
        }
        yield about | {
            "method": "integrated_gradients",
            "effect": float(one.integrated[tokens].sum()),
            "whole": one.whole,
            "completeness": one.completeness,
            "complete": one.complete,
            "steps": one.steps,
        }
        yield about | {
            "method": "input_x_gradient",
            "effect": float(one.times_gradient[tokens].sum()),
        }


LAST = "prompt_last"


def spans_of(one: Attributed) -> dict[str, list[int]]:
    """Positions by name, of tokens that something may read."""
    given, prompt = one.contrast, one.contrast.clean
    offsets = one.input.offsets[: one.input.start]
    found = {
        name: covered(offsets, spans[0], f"{given.named}: span {name!r}")
        for name, spans in given.spans.items()
        if name != PROMPT and spans[0].end <= len(prompt)
    }
    found[LAST] = covered(offsets, Span(0, len(prompt)), given.named)[-1:]
    every = range(len(one.integrated))
    behind = range(one.input.start, len(one.input.ids))
    found[TARGET] = [i for i in every if i in behind or (not behind and i in one.input.reads)]
    found[ANSWER] = sorted(one.input.reads)
    named = {i for tokens in found.values() for i in tokens}
    found[REST] = [i for i in every if i not in named]
    return found
