"""What an API replies, read without trust: a whole answer, or the reason why it is none."""

import asyncio
import json
from typing import Any

import httpx2
import openai

from interp_rc.models.responses import Response

LARGEST = 16 * 2**20
"""Bytes of a reply; the longest answers have a hundredth of it."""
MOST_TOKENS = 2**63


class NoAnswerError(Exception):
    """A reply came, and there is no answer in it."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """Reads no reply further than `LARGEST`, and none that is compressed, which it asks for: a
    small one may be of any size. How long it may take is for who asks to bound."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().send(request, **options | {"stream": True})
        try:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding != "identity":
                raise httpx2.DecodingError(f"a reply in {encoding!r:.40}, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LARGEST:
                    raise httpx2.DecodingError(f"a reply of more than {LARGEST >> 20} MiB")
        finally:
            await response.aclose()
        headers = [(k, v) for k, v in response.headers.multi_items() if k not in FRAMING]
        return httpx2.Response(
            response.status_code, headers=headers, content=bytes(body), request=response.request
        )


class WholeTransport(httpx2.BaseTransport):
    """Sends a request of a synchronous client by a `BoundedClient` of its own: each reply whole
    within `seconds`, with more for a body that is sent. A read alone is no bound: a byte now and
    then goes on for ever."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.certificates = httpx2.create_ssl_context()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ReadTimeout, as what a library would meet."""
        body = request.read()
        seconds = self.seconds + len(body) / SLOWEST

        async def answered() -> httpx2.Response:
            headers = [(k, v) for k, v in request.headers.multi_items() if k not in FRAMING]
            again = httpx2.Request(request.method, request.url, headers=headers, content=body)
            client = BoundedClient(timeout=seconds, verify=self.certificates)
            async with client, asyncio.timeout(seconds):
                return await client.send(again, follow_redirects=False)

        try:
            return asyncio.run(answered())
        except TimeoutError:
            late = f"no whole reply within {seconds:g} s"
            raise httpx2.ReadTimeout(late, request=request) from None


SLOWEST = 50_000
"""Bytes a second of a body that is sent."""
FRAMING = ("transfer-encoding", "content-length", "content-encoding")


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object that a reply is. Raises NoAnswerError, saying what else it is."""
    try:
        value = json.loads(body)
    except (UnicodeDecodeError, RecursionError) as error:
        nested = isinstance(error, RecursionError)
        raise NoAnswerError("JSON nested too deeply" if nested else "half a character") from None
    except ValueError as error:  # JSON may end too early, and numbers be too long
        raise NoAnswerError(f"no JSON ({str(error)[:80]})") from None
    if not isinstance(value, dict):
        raise NoAnswerError(f"{_kind(value)} instead of an object")
    return value


def response_of(body: bytes) -> Response:
    """The answer in a reply to a chat, or to a text to complete. Raises NoAnswerError."""
    reply = object_of(body)
    choices = reply.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        count = len(choices) if isinstance(choices, list) else "no"
        raise NoAnswerError(f"{count} choices instead of one")
    [choice] = choices
    if not isinstance(choice, dict):
        raise NoAnswerError(f"{_kind(choice)} instead of a choice")
    message = choice.get("message")
    if message is not None and not isinstance(message, dict):
        raise NoAnswerError(f"{_kind(message)} instead of a message")
    text = text_of(choice.get("text") if message is None else message.get("content"), "text")
    if text is None:
        raise NoAnswerError("a choice without text")
    usage = reply.get("usage")
    if usage is not None and not isinstance(usage, dict):
        raise NoAnswerError(f"{_kind(usage)} instead of the usage")
    return Response(
        text,
        text_of(choice.get("finish_reason"), "finish_reason"),
        *(count_of((usage or {}).get(name), name) for name in COUNTS),
    )


COUNTS = ("prompt_tokens", "completion_tokens")


def text_of(value: Any, name: str) -> str | None:
    """A text of a reply, or None if there is none. Raises NoAnswerError for anything else."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise NoAnswerError(f"{_kind(value)} instead of a text (`{name}`)")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NoAnswerError(f"half a character (`{name}`)") from None
    return value


def count_of(value: Any, name: str) -> int | None:
    """A number of tokens, or None if there is none. Raises NoAnswerError for anything else."""
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < MOST_TOKENS:
        raise NoAnswerError(f"{_kind(value)} {value!r:.40} instead of a count (`{name}`)")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")
