"""What the released code sums as a target's log-probability, beside the right sum.

In our own words, after `src/models/llama.py` @ 0250bd7 of the paper's repository: texts of prompt
and target are padded to one length, twenty together. Of each row it sums the log-probabilities of
the tokens after the first j, where j is the least number of tokens whose letters are more than the
prompt's; special tokens' own letters (`<s>`, and the padding's on the left) count as letters. The
last column is left out: where nothing is padded that is the last token of the target, and where a
row is padded on the right all of its padding but one token is summed, too.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from analysis.over_seeds import write_csv, write_environment
from interp_rc.evaluation.cells import cells
from interp_rc.facts.folder import read_facts
from interp_rc.models.load import Loaded, load
from interp_rc.models.scoring import score
from interp_rc.records.runs import Run
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean

Side = Literal["right", "left"]
TOGETHER = 20
"""Texts in a batch of the released code."""
SAME = 1e-3
"""Nats: sums that differ by less are the same but for rounding."""
NAME = "released_span"


def released_tokens(
    ids: Sequence[int], prompt: str, decode: Callable[[Sequence[int]], str]
) -> range:
    """Positions of the tokens that are scored, of one row with its padding."""
    lengths = (len(decode(ids[:j])) for j in range(1, len(ids) + 1))
    start = next((j for j, length in enumerate(lengths, 1) if length > len(prompt)), len(ids))
    return range(start, len(ids) - 1)


@torch.no_grad()
def released_sums(
    loaded: Loaded,
    prompts: Sequence[str],
    targets: Sequence[str],
    *,
    side: Side = "right",
    together: int = TOGETHER,
) -> Float[Tensor, " row"]:
    """Nats, of each prompt and target."""
    model, tokenizer = loaded
    sums = []
    for first in range(0, len(prompts), together):
        batch = prompts[first : first + together]
        texts = [a + b for a, b in zip(batch, targets[first : first + together], strict=True)]
        padded = tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")
        ids = padded.input_ids
        logits = model(input_ids=ids, attention_mask=padded.attention_mask).logits
        log_probs = logits.double().log_softmax(-1)
        said = log_probs[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]  # of token t at t - 1
        for row, prompt in zip(range(len(batch)), batch, strict=True):
            scored = released_tokens(ids[row].tolist(), prompt, tokenizer.decode)
            sums.append(said[row, scored.start - 1 : scored.stop - 1].sum())
    return torch.stack(sums)


class Case(NamedTuple):
    """One question of a fact."""

    fact: str
    prompt: str
    target: str


WAYS: dict[str, tuple[Side, int]] = {
    "none": ("right", 1),
    "right": ("right", TOGETHER),
    "left": ("left", TOGETHER),
}


def span_table(loaded: Loaded, asked: Mapping[str, Sequence[Case]], seed: int) -> pd.DataFrame:
    """A row for each group of questions and way of padding: means over rows in nats, and the
    difference (released less right) with its interval over facts."""
    rows = []
    for name, cases in asked.items():
        prompts, targets = [case.prompt for case in cases], [case.target for case in cases]
        right = score(*loaded, prompts, targets).log_prob
        for padding, (side, together) in WAYS.items():
            sums = released_sums(loaded, prompts, targets, side=side, together=together)
            differences = pd.Series((sums - right).numpy())
            by_fact = differences.groupby([case.fact for case in cases]).mean().to_numpy()
            mean = bootstrap_mean(by_fact, "nat", seed=derive_seed(seed, NAME, name, padding))
            rows.append(
                {"asked": name, "padding": padding, "rows": len(cases)}
                | {"right": float(right.mean()), "released": float(sums.mean())}
                | {"share_differing": float((differences.abs() > SAME).mean())}
                | mean.as_dict()
            )
    return pd.DataFrame(rows)


def collect_released_span(folder: Path, tables: Path) -> None:
    """Write `released_span.csv`: the finetuned model of a run, asked about its facts."""
    run = Run.open(folder)
    asked = {
        cell.name: [Case(query.fact, query.prompt, query.target) for query in cell.queries]
        for cell in cells(read_facts(run.facts).queries)
    }
    write_csv(tables, NAME, span_table(load(run.model), asked, run.config()["seed"]))
    write_environment(tables, NAME, [run])
