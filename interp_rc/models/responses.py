"""The store of what remote models answered: SQLite, one row a request, written as it arrives."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interp_rc.records.errors import DataError

SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS response (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, text TEXT NOT NULL, finish TEXT,
    prompt_tokens INTEGER, completion_tokens INTEGER, received TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model. `messages` are (role, text) of a chat; a single message of role
    "prompt" is a text to complete. `sample` tells repeated draws of the same question apart."""

    endpoint: str
    model: str
    messages: tuple[tuple[str, str], ...]
    temperature: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    sample: int = 0

    @property
    def key(self) -> str:
        """The same for the same question, in any run."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Response:
    """`finish` is the endpoint's reason to stop; tokens as it counts them, if it does."""

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


class Responses:
    """Every response once, on disk as soon as it is here; what was begun is known after a kill."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __len__(self) -> int:
        [(count,)] = self._connection.execute("SELECT count(*) FROM response")
        return int(count)

    def found(self, requests: Iterable[Request]) -> dict[str, Response]:
        """By key, of those that were answered."""
        rows: dict[str, Response] = {}
        for request in requests:
            one = self._connection.execute(
                "SELECT text, finish, prompt_tokens, completion_tokens FROM response WHERE key = ?",
                (request.key,),
            ).fetchone()
            if one is not None:
                rows[request.key] = Response(*one)
        return rows

    def interrupted(self) -> set[str]:
        """Keys of requests that were sent and not answered: a killed process leaves them."""
        rows = self._connection.execute(
            "SELECT key FROM begun WHERE key NOT IN (SELECT key FROM response)"
        )
        return {key for (key,) in rows}

    def begin(self, request: Request) -> None:
        """Before the request is sent."""
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO begun VALUES (?)", (request.key,))

    def give_up(self, request: Request) -> None:
        """It was refused, or never answered: nothing is under way."""
        with self._connection:
            self._connection.execute("DELETE FROM begun WHERE key = ?", (request.key,))

    def keep(self, request: Request, response: Response) -> None:
        """Raises sqlite3.IntegrityError for a request that has a response already."""
        row: Mapping[str, Any] = asdict(response) | {
            "key": request.key,
            "request": json.dumps(asdict(request), ensure_ascii=False),
        }
        with self._connection:
            self._connection.execute(
                "INSERT INTO response VALUES (:key, :request, :text, :finish, :prompt_tokens, "
                ":completion_tokens, datetime('now'))",
                row,
            )
            self._connection.execute("DELETE FROM begun WHERE key = ?", (request.key,))


@contextmanager
def open_responses(path: Path) -> Iterator[Responses]:
    """The store in a file, made if there is none. One process at a time writes.

    Raises DataError for a file that is no store, of another version, or in use.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=1.0)
    try:
        try:
            # Others may not even read: two processes would ask, and pay, twice.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            [(version,)] = connection.execute("PRAGMA user_version")
            if version not in (0, SCHEMA):
                raise DataError(
                    f"is a store of version {version}, this is {SCHEMA}; use another file",
                    file=path,
                )
            with connection:
                connection.executescript(TABLES)
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
        except sqlite3.DatabaseError as error:
            why = "is in use" if "locked" in str(error) else "is no store of responses"
            remedy = "wait for the other process" if "locked" in str(error) else "use another file"
            raise DataError(f"{why} ({error}); {remedy}", file=path) from None
        yield Responses(connection)
    finally:
        connection.close()
