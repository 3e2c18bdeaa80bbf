"""Finetuning at an API that speaks OpenAI's protocol: the documents, the cost, and the state."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from interp_rc.models.consent import confirm
from interp_rc.models.endpoint import Endpoint, Protocol, key_of
from interp_rc.models.remote import PER_TOKEN
from interp_rc.records.errors import RunError
from interp_rc.records.files import write_json
from interp_rc.records.nouns import Document
from interp_rc.records.seeds import derive_seed
from interp_rc.records.strict_json import read_json
from interp_rc.training.hosted_job import HostedJob, Say, State
from interp_rc.training.options import HostedFinetuning
from interp_rc.training.train import Report

STATE = "hosted.json"


def rows(documents: Sequence[Document], protocol: Protocol) -> list[dict[str, Any]]:
    """Each document as the API wants it. In a chat the prompt is the user's turn and the completion
    the assistant's, without the space between them."""
    pairs = [(document.prompt, document.text[len(document.prompt) :]) for document in documents]
    if protocol == "completions":
        return [{"prompt": prompt, "completion": completion} for prompt, completion in pairs]
    return [
        {
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": completion.lstrip(" ")},
            ]
        }
        for prompt, completion in pairs
    ]


def finetune_hosted(
    endpoint: Endpoint,
    documents: Sequence[Document],
    options: HostedFinetuning,
    *,
    seed: int,
    checkpoints: Path,
    report: Report = lambda step, steps, loss: None,
    say: Say = lambda message: None,
) -> tuple[Endpoint, int]:
    """The endpoint of the finetuned model, and the tokens that the API trained on (where it does
    not say, as many as were estimated).

    Killed at any moment, it goes on where it stopped: one upload and one job, by the state file in
    `checkpoints` and by what the API lists. Raises ConfigError if the cost is not confirmed,
    ModelError if the API refuses, if the job fails, or if it does not begin for too long.
    """
    key_of(endpoint)  # without one, nobody is asked about the cost
    seed = derive_seed(seed, "finetune") % 2**31
    lines = (json.dumps(row, ensure_ascii=False) for row in rows(documents, endpoint.protocol))
    content = "".join(f"{line}\n" for line in lines).encode()
    letters = sum(len(document.text) for document in documents)
    tokens = letters // PER_TOKEN * options.epochs
    digest, file = _digest(endpoint, options, seed, content), checkpoints / STATE
    state = _read(file, digest)
    if state is None:
        said = estimate(endpoint, options, len(documents), tokens)
        if endpoint.local:
            say(said)
        else:
            confirm(said)
        state = State(f"interp-rc-{uuid.uuid4().hex}.jsonl", digest)
        write_json(file, asdict(state))
    done = HostedJob(endpoint, options, seed, state, file, say).to_the_end(content, report)
    assert done.model is not None
    return replace(endpoint, model=done.model), done.tokens or tokens


def _digest(endpoint: Endpoint, options: HostedFinetuning, seed: int, content: bytes) -> str:
    how = options.model_dump(include={"epochs", "batch_size", "learning_rate_multiplier"})
    what = json.dumps([endpoint.url, endpoint.model, how, seed])
    return hashlib.sha256(what.encode() + content).hexdigest()


def _read(file: Path, digest: str) -> State | None:
    """The state as it was left; None before the first time."""
    if not file.is_file():
        return None
    try:
        state = State(**read_json(file))
    except TypeError as error:
        raise RunError(f"{file} is damaged ({error}); choose another --out") from None
    if state.digest != digest:
        raise RunError(f"{file} is of a job on other documents or options; choose another --out")
    return state


def estimate(endpoint: Endpoint, options: HostedFinetuning, documents: int, tokens: int) -> str:
    """Tokens and cost in words; tokens are guessed from the letters."""
    cost = "cost not known (give training.price)"
    if options.price is not None:
        cost = f"about ${tokens * options.price / 1e6:,.2f}"
    return (
        f"Finetuning {endpoint.model} at {endpoint.url} on {documents:,} documents in "
        f"{options.epochs} epochs: about {tokens:,} tokens to train on; {cost}."
    )
