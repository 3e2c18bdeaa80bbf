"""Remote models behind any API that speaks OpenAI's chat or completion protocol."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import openai

from interp_rc.models.reply import BoundedClient, NoAnswerError, response_of
from interp_rc.models.responses import Request, Response, Responses
from interp_rc.records.errors import ConfigError, ModelError

Protocol = Literal["chat", "completions"]
Limit = Literal["max_tokens", "max_completion_tokens"]
KEY = "OPENAI_API_KEY"
NO_KEY = "no-key-is-needed"
RETRIES = 8  # after a pause as long as Retry-After says, or twice as long each time
NOBODY = 3  # times to try again where nothing has answered yet: it is likelier a wrong URL
AGAIN = 3  # times a response that is no answer is asked for, and timeouts that a question may take
LONGEST = 120  # seconds of a pause that an endpoint may ask for
SILENCE = 10  # seconds between two words on what is in the way
HOPELESS = 2  # requests of each worker in a row without an answer: the endpoint is not there
REFUSED = (
    openai.AuthenticationError,
    openai.PermissionDeniedError,
    openai.NotFoundError,
    openai.BadRequestError,
    openai.UnprocessableEntityError,
)
"""What no further request would change."""
Tick = Callable[[int], object]
Note = Callable[["Asked"], object]
Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` is the API's base, e.g. https://api.openai.com/v1; `key_from` names the environment
    variable of the key, which an endpoint on this machine may lack. `timeout` in seconds, from a
    question's sending to the last byte of its reply; prices in dollars for a million tokens read
    and written.

    `limit` is what the API calls the most tokens of an answer: OpenAI's newer chat models refuse
    `max_tokens`, and many others know nothing else. Raises ConfigError where completions, which
    have that only, are to be limited by another name."""

    url: str
    model: str
    protocol: Protocol = "chat"
    key_from: str = KEY
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = RETRIES
    limit: Limit = "max_tokens"
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        if self.protocol == "completions" and self.limit != "max_tokens":
            raise ConfigError(
                f"limit {self.limit} is of chat models; completions have max_tokens: leave it out"
            )

    @property
    def local(self) -> bool:
        """On this machine: neither keys nor costs."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")

    def request(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        stop: Sequence[str] = (),
        sample: int = 0,
    ) -> Request:
        return Request(
            self.url, self.model, tuple(messages), temperature, max_tokens, tuple(stop), sample
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call of `ask` did: `repeated` requests had been sent before a kill, unanswered;
    `failed` stay unanswered, `why` says the last reason."""

    stored: int
    answered: int
    repeated: int
    failed: int
    why: str | None


def ask(
    endpoint: Endpoint,
    requests: Sequence[Request],
    store: Responses,
    tick: Tick = lambda done: None,
    note: Note = lambda asked: None,
    tell: Tell = lambda message: None,
) -> Asked:
    """Ask what the store does not hold, at most `concurrency` at once, and store every response
    the moment it arrives. `tick(1)` tells each answer, `note` how it ended, an error or not, `tell`
    what is in the way of answers.

    Requests that get no answer after all retries (three where nothing has come from there yet), or
    within three times the endpoint's timeout (pauses between retries apart), are counted as failed,
    with the reason in the store, and the others go on; all that are left fail where not one of many
    in a row is answered.
    Raises ModelError where the endpoint refuses what no other request would change (key, model,
    form of the request), ConfigError for a URL that needs a key where there is none.
    """
    unique = list({request.key: request for request in requests}.values())
    there = store.found(unique)
    missing = [request for request in unique if request.key not in there]
    repeated = len(store.interrupted() & {request.key for request in missing})
    work = _Work(endpoint, store, tick, tell)

    def done() -> Asked:
        return Asked(len(there), work.answered, repeated, len(missing) - work.answered, work.why)

    try:
        if missing:
            asyncio.run(work.all_of(missing))
    finally:
        note(done())
    return done()


class _Work:
    def __init__(self, endpoint: Endpoint, store: Responses, tick: Tick, tell: Tell) -> None:
        self.endpoint, self.store, self.tick, self.tell = endpoint, store, tick, tell
        self.key = key_of(endpoint)
        self.answered = self.in_a_row = 0
        self.met = False  # whether anything, an error too, has come from there
        self.why: str | None = None
        self.told = float("-inf")

    async def all_of(self, requests: Sequence[Request]) -> None:
        queue = iter(requests)
        client = client_for(self.endpoint, self.key)

        async def worker() -> None:
            for request in queue:  # shared: each takes the next one
                await self.one(client, request)
                if self.in_a_row >= HOPELESS * self.endpoint.concurrency:
                    return

        try:
            async with client, asyncio.TaskGroup() as group:
                for _ in range(self.endpoint.concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            if not isinstance(first, REFUSED):
                raise first from None
            self.why = self.without_key(first)
            raise ModelError(
                f"{self.endpoint.url} refuses to answer for {self.endpoint.model}: "
                f"{self.why}; check the URL, the model's name and "
                f"{self.endpoint.key_from}{self.hint(first)}"
            ) from None

    async def one(self, client: openai.AsyncOpenAI, request: Request) -> None:
        self.store.begin(request)
        try:
            response = await self.answer(client, request)
        except REFUSED:
            self.store.give_up(request)
            raise
        except (openai.OpenAIError, TimeoutError, NoAnswerError) as error:
            self.in_a_row += not isinstance(error, NoAnswerError)
            self.why = self.without_key(error)
            self.store.give_up(request, self.why)
            return
        self.store.keep(request, response)
        self.answered += 1
        self.in_a_row = 0
        self.tick(1)

    async def answer(self, client: openai.AsyncOpenAI, request: Request) -> Response:
        """Asked for again after a pause while there is trouble on the way, and at once where a
        reply is no answer."""
        trouble, unread, spent = 0, 0, 0.0
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.endpoint.timeout):
                    reply = await _create(client, self.endpoint, request)
                    self.met = True
                    return response_of(reply)
            except NoAnswerError as error:
                unread += 1
                if unread == AGAIN:
                    raise NoAnswerError(f"no answer in the response ({error})") from None
            except (openai.OpenAIError, TimeoutError) as met:
                trouble += 1
                self.met |= isinstance(met, openai.APIStatusError)
                retries = self.endpoint.retries if self.met else min(self.endpoint.retries, NOBODY)
                spent += time.monotonic() - began
                fault = self.in_words(met)
                pause = _pause(fault, trouble)
                late = spent > (AGAIN - 0.5) * self.endpoint.timeout
                if pause is None or trouble > retries or late:
                    raise fault from fault.__cause__
                self.say(f"{self.endpoint.url}: {self.without_key(fault)}")
                await asyncio.sleep(pause)

    def say(self, message: str) -> None:
        """Now and then: many requests meet the same trouble."""
        if time.monotonic() - self.told > SILENCE:
            self.told = time.monotonic()
            self.tell(f"{message}; asking again")

    def in_words(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return TimeoutError(f"no whole reply within {self.endpoint.timeout:g} s")
        return error

    def hint(self, error: BaseException) -> str:
        """Two refusals that are not what they seem."""
        other = "max_completion_tokens"
        if other in str(error):
            return f", or limit answers by {other}"
        if isinstance(error, openai.NotFoundError) and self.endpoint.model.startswith("ft:"):
            return "; one that was just finetuned may not be loaded yet: continue with --resume"
        return ""

    def without_key(self, error: BaseException) -> str:
        return without_key(error, self.key)


def without_key(error: BaseException, key: str) -> str:
    """One line of an error that may repeat what was sent, and of what lies behind it."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    behind = error.__cause__
    if isinstance(error, openai.APIConnectionError) and behind is not None:
        first = f"{first} ({type(behind).__name__} {str(behind).strip()[:100]})"
    return first.replace(key, "…")[:300].rstrip(".")


def key_of(endpoint: Endpoint) -> str:
    """From the environment only. Raises ConfigError where a URL needs one and there is none, and
    for one that no request can carry."""
    key = os.environ.get(endpoint.key_from, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the key in {endpoint.key_from} has line breaks or letters beyond ASCII, which no key "
            "has; set it again"
        )
    if not key and not endpoint.local:
        raise ConfigError(
            f"{endpoint.url} needs a key, and the environment has no {endpoint.key_from}; set it"
        )
    return key or NO_KEY


def client_for(endpoint: Endpoint, key: str) -> openai.AsyncOpenAI:
    """Sends a call once: when another is due is decided here."""
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=endpoint.url,
        timeout=endpoint.timeout,
        max_retries=0,
        http_client=BoundedClient(),
    )


def _pause(error: Exception, times: int) -> float | None:
    """Seconds before a request that met trouble so many times is sent again; None if that would
    change nothing."""
    if refused(error) or isinstance(
        error.__cause__, (httpx2.TooManyRedirects, httpx2.DecodingError)
    ):
        return None
    asked = None
    if isinstance(error, openai.APIStatusError):
        with contextlib.suppress(ValueError, OverflowError):
            asked = float(error.response.headers.get("Retry-After", ""))
    if asked is not None and asked > 0:
        return asked if asked <= LONGEST else None
    return float(min(0.5 * 2 ** (times - 1), 8.0)) * random.uniform(0.75, 1.0)


def refused(error: Exception) -> bool:
    """An answer that no repetition would change: neither trouble on the way nor too many calls."""
    if not isinstance(error, openai.APIStatusError):
        return False
    return error.status_code < 500 and error.status_code not in (408, 409, 429)


async def _create(client: openai.AsyncOpenAI, endpoint: Endpoint, request: Request) -> bytes:
    options: dict[str, Any] = {
        "model": request.model,
        "temperature": request.temperature,
        endpoint.limit: request.max_tokens,
    }
    if request.stop:
        options["stop"] = list(request.stop)
    if endpoint.protocol == "completions":
        [(_, prompt)] = request.messages
        reply = await client.completions.with_raw_response.create(prompt=prompt, **options)
        return reply.content
    messages: Any = [{"role": role, "content": text} for role, text in request.messages]
    chat = client.chat.completions.with_raw_response
    return (await chat.create(messages=messages, **options)).content
