"""A model behind an API in the place of one in memory: chosen, kept in a run's folder, asked."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from tqdm import tqdm

from interp_rc.facts.factset import FactSet
from interp_rc.models.consent import confirm
from interp_rc.models.endpoint import KEY, Asked, Endpoint, Limit, Protocol, ask, key_of
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.machine import Machine
from interp_rc.models.responses import Request, Response, open_responses
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.records.files import replacing_folder, write_json
from interp_rc.records.options import Options, Workers
from interp_rc.records.runs import Run
from interp_rc.records.strict_json import read_json

FILE = "endpoint.json"
PER_TOKEN = 4  # characters, of English text
VARIABLE = re.compile("[A-Z_][A-Z0-9_]*")  # no provider's key is in capitals alone


@dataclass(frozen=True, slots=True)
class Remote:
    """What a measure gets where others get a `Loaded`."""

    endpoint: Endpoint


AnyModel = Loaded | Remote


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("give the API's base, e.g. https://api.openai.com/v1")
    return url.rstrip("/")


class EndpointModel(Options):
    """A model behind any API that speaks OpenAI's protocol.

    `url` is the API's base; `key_from` names the environment variable that holds the key, in
    capitals. `timeout` in seconds; `limit` is what the API calls the most tokens of an answer;
    prices in dollars for a million tokens read and written, for the estimate.
    """

    kind: Literal["endpoint"] = "endpoint"
    url: Annotated[str, AfterValidator(_address)] = "https://api.openai.com/v1"
    model: str
    protocol: Protocol = "chat"
    key_from: str = KEY
    concurrency: Workers = 8
    timeout: Annotated[float, Field(gt=0)] = 60.0
    limit: Limit = "max_tokens"
    price_in: Annotated[float, Field(ge=0)] | None = None
    price_out: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _can_be_asked(self) -> "EndpointModel":
        # Here, and not at the fields: what is wrong with one of those is shown with its value.
        if "@" in self.url or "?" in self.url:
            raise ValueError(
                "`url` holds more than an address; a key comes from the environment only"
            )
        if not VARIABLE.fullmatch(self.key_from):
            raise ValueError(
                f"`key_from` is the name of an environment variable, in capitals like {KEY}, and "
                "never a key: it is written into the run's folder"
            )
        try:
            self.endpoint()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def endpoint(self) -> Endpoint:
        return Endpoint(**self.model_dump(exclude={"kind"}))

    def known(self, facts: FactSet, seed: int) -> FactSet | None:
        """None: nobody here has read what it was trained on."""
        return None

    def load(
        self,
        known: FactSet | None,
        *,
        machine: Machine,
        seed: int,
        report: Callable[..., object],
        waiting: Callable[[], object],
    ) -> tuple[Remote, bool]:
        return Remote(self.endpoint()), True


def load_any(folder: Path, *, device: str) -> AnyModel:
    """The model of a run's folder `base` or `model`."""
    if not (folder / FILE).is_file():
        return load(folder, device=device)
    try:
        return Remote(Endpoint(**read_json(folder / FILE)))
    except TypeError as error:
        raise ModelError(f"{folder / FILE} names no endpoint ({error}); delete {folder}") from None


def save_any(model: AnyModel, folder: Path) -> None:
    """Write a model into a run's folder; of a remote one, where it is."""
    if isinstance(model, Loaded):
        save(model, folder)
        return
    with replacing_folder(folder) as temporary:
        write_json(temporary / FILE, asdict(model.endpoint))


def replies(remote: Remote, requests: Sequence[Request], run: Run, label: str) -> list[Response]:
    """The responses to all requests, in their order; what the run's store holds is not asked again.

    What it will take is said and, for an endpoint that is not on this machine, confirmed. Raises
    ModelError if questions stay without an answer, when all others are answered and stored.
    """
    with open_responses(run.responses_file) as store:
        there = store.found(requests)
        once = {request.key: request for request in requests}
        missing = [request for key, request in once.items() if key not in there]
        if missing:
            key_of(remote.endpoint)  # without one, nobody is asked about the cost
            _say_and_confirm(remote.endpoint, missing)

            def note(asked: Asked) -> None:
                run.note("calls", label=label, **asdict(asked))

            def tell(message: str) -> None:
                tqdm.write(message, file=sys.stderr)

            with tqdm(total=len(missing), desc=label, unit="call", disable=None) as bar:
                done = ask(remote.endpoint, requests, store, bar.update, note, tell)
            if done.failed:
                raise ModelError(
                    f"{done.failed} of {len(requests)} questions have no answer ({done.why}); the "
                    "others are stored: ask again (of a run: with --resume)"
                )
            there = store.found(requests)
    return [there[request.key] for request in requests]


def _say_and_confirm(endpoint: Endpoint, missing: Sequence[Request]) -> None:
    said = estimate(endpoint, missing)
    if endpoint.local:
        print(said, file=sys.stderr, flush=True)
    else:
        confirm(said)


def estimate(endpoint: Endpoint, requests: Sequence[Request]) -> str:
    """Calls, tokens and cost in words. Tokens to read are guessed from the letters; those to write
    are the most that can come."""
    letters = sum(len(text) for request in requests for _, text in request.messages)
    read, write = letters // PER_TOKEN, sum(request.max_tokens for request in requests)
    calls = f"{len(requests):,} call{'s' if len(requests) != 1 else ''}"
    tokens = f"about {read:,} tokens to read and at most {write:,} to write"
    if endpoint.price_in is None or endpoint.price_out is None:
        cost = "cost not known (give the model's price_in and price_out)"
    else:
        dollars = (read * endpoint.price_in + write * endpoint.price_out) / 1e6
        cost = f"at most about ${dollars:,.2f}"
    return f"{calls} to {endpoint.model} at {endpoint.url}: {tokens}; {cost}."
