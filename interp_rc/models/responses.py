"""The store of what remote models answered: SQLite, one row a request, written as it arrives."""

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interp_rc.records.errors import DataError

log = logging.getLogger(__name__)

SCHEMA = 2
TABLES = """
CREATE TABLE IF NOT EXISTS response (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, text TEXT NOT NULL, finish TEXT,
    prompt_tokens INTEGER, completion_tokens INTEGER, received TEXT NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS no_answer (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, reason TEXT NOT NULL, received TEXT NOT NULL
) WITHOUT ROWID;
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
        """By key, of those that were answered. What was changed since is deleted, so that it is
        asked again."""
        rows: dict[str, Response] = {}
        damaged: list[tuple[str]] = []
        for request in requests:
            row = self._connection.execute(
                "SELECT text, finish, prompt_tokens, completion_tokens, digest FROM response "
                "WHERE key = ?",
                (request.key,),
            ).fetchone()
            if row is None:
                continue
            *parts, digest = row
            if _digest(request.key, parts) == digest:
                rows[request.key] = Response(*parts)
            else:
                damaged.append((request.key,))
        if damaged:
            log.warning("%d stored answers are damaged and are asked again", len(damaged))
            with self._connection:
                self._connection.executemany("DELETE FROM response WHERE key = ?", damaged)
        return rows

    def reasons(self) -> dict[str, str]:
        """Why requests have no answer, by key, of those that were asked and have none yet."""
        return dict(self._connection.execute("SELECT key, reason FROM no_answer"))

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

    def give_up(self, request: Request, reason: str | None = None) -> None:
        """It was refused, or never answered, for a reason: nothing is under way."""
        with self._connection:
            self._connection.execute("DELETE FROM begun WHERE key = ?", (request.key,))
            if reason is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO no_answer VALUES (?, ?, ?, datetime('now'))",
                    (request.key, _text(request), reason),
                )

    def keep(self, request: Request, response: Response) -> None:
        """Raises sqlite3.IntegrityError for a request that has a response already."""
        row: Mapping[str, Any] = asdict(response) | {
            "key": request.key,
            "request": _text(request),
            "digest": _digest(request.key, list(asdict(response).values())),
        }
        with self._connection:
            self._connection.execute(
                "INSERT INTO response VALUES (:key, :request, :text, :finish, :prompt_tokens, "
                ":completion_tokens, datetime('now'), :digest)",
                row,
            )
            self._connection.execute("DELETE FROM begun WHERE key = ?", (request.key,))
            self._connection.execute("DELETE FROM no_answer WHERE key = ?", (request.key,))


def _text(request: Request) -> str:
    return json.dumps(asdict(request), ensure_ascii=False)


def _digest(key: str, parts: list[Any]) -> str:
    """Of an answer, and of what it answers."""
    return hashlib.sha256(json.dumps([key, *parts], default=str).encode()).hexdigest()


@contextmanager
def open_responses(path: Path) -> Iterator[Responses]:
    """The store in a file, made if there is none. One process at a time writes.

    Raises DataError for a file that is no store, damaged, of another version, or in use.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=1.0)) as connection:
        # Bytes that were changed on the disk may be no text any longer: their digest tells.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
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
            yield Responses(connection)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise _unusable(error, path) from None


def _unusable(error: sqlite3.DatabaseError, path: Path) -> Exception:
    if "locked" in str(error):
        return DataError(f"is in use ({error}); wait for the other process", file=path)
    if "full" in str(error):
        return error
    what = "is damaged" if "malformed" in str(error) else "is no store of responses"
    remedy = (
        "move it away: what it held is asked again"
        if "malformed" in str(error)
        else ("use another file")
    )
    return DataError(f"{what} ({error}); {remedy}", file=path)
