"""One query as a model answered it."""

from collections.abc import Sequence

import pandas as pd
from tqdm import tqdm

from interp_rc.evaluation.match import PREFIX, is_open, prefix_match
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.nouns import Query

# Greedy text is read a little further than the target, and further still while that leaves open
# what it says: capitals, spaces and other spellings take more tokens.
EXTRA_TOKENS = 3


def answer(
    loaded: Loaded, queries: Sequence[Query], *, model: str, seed: int, batch_size: int = 64
) -> pd.DataFrame:
    """The table `evaluation/answers.parquet` for one model (`base` or `finetuned`).

    Where the teacher-forced pass shows that greedy decoding begins with exactly the target's
    tokens, the target stands as the text; only the other prompts are decoded.
    """
    prompts, targets = [q.prompt for q in queries], [q.target for q in queries]
    with tqdm(total=2 * len(queries), desc=f"answers of the {model} model", disable=None) as bar:
        scores = score(
            loaded.model,
            loaded.tokenizer,
            prompts,
            targets,
            batch_size=batch_size,
            tick=bar.update,
        )
        texts = list(targets)
        rest = [i for i, same in enumerate(scores.greedy.tolist()) if not same]
        bar.update(len(queries) - len(rest))
        decoded = complete(
            loaded.model,
            loaded.tokenizer,
            [prompts[i] for i in rest],
            max_new_tokens=[int(scores.n_tokens[i]) + EXTRA_TOKENS for i in rest],
            is_open=lambda i, text: is_open(text, [targets[rest[i]], *queries[rest[i]].candidates]),
            batch_size=4 * batch_size,
            tick=bar.update,
        )
    for i, text in zip(rest, decoded, strict=True):
        texts[i] = text
    table = answers_table(queries, texts, model=model, seed=seed)
    table["log_prob"] = scores.log_prob.numpy()
    table["n_tokens"] = scores.n_tokens.numpy()
    return table


def answers_table(
    queries: Sequence[Query], texts: Sequence[str], *, model: str, seed: int
) -> pd.DataFrame:
    """What was said to each query, judged; log-probabilities and tokens of targets not known."""
    rows = [
        (q.id, q.fact, q.group, q.order, q.direction, q.seen, q.template, q.prompt, q.target)
        for q in queries
    ]
    columns = "query fact group order direction seen template prompt target".split()
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "seed", seed)
    table.insert(0, "model", model)
    table["text"] = list(texts)
    table["match"] = [prefix_match(t, q.target) for t, q in zip(texts, queries, strict=True)]
    table["rule"] = PREFIX
    table["log_prob"] = pd.array([None] * len(queries), dtype="Float64")
    table["n_tokens"] = pd.array([None] * len(queries), dtype="Int64")
    return table
