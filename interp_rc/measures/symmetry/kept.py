"""Trials kept as they finish, so that a run that was killed goes on with the next."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from tqdm import tqdm

from interp_rc.measures.symmetry.plan import Trial
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_jsonl
from interp_rc.records.strict_json import json_text, parse_json

Kept = dict[str, Any]
"""What is kept of a trial: its `rows`, and whatever else it found, as JSON."""
Chain = list[Trial]
Done = list[tuple[Trial, Kept]]


class Ledger:
    """A file of JSON lines, each of a trial's `settings` and what was `found`, and which sentences
    forgetting was measured `on`: trials that measured it on others do not count."""

    def __init__(self, path: Path, on: str = "") -> None:
        self.path, self.on = path, on
        lines = [
            line
            for line in _whole_lines(path)
            if line.get("on", "") == on or not line["settings"].get("forgetting")
        ]
        self._found = {_key(line["settings"]): line["found"] for line in lines}
        # A kill may have left half a line, which the next would be written behind.
        write_jsonl(path, lines)

    def get(self, trial: Trial) -> Kept | None:
        return self._found.get(_key(asdict(trial)))

    def keep(self, trial: Trial, found: Kept) -> None:
        settings = asdict(trial)
        line = json_text({"settings": settings, "found": found, "on": self.on})
        with self.path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        self._found[_key(settings)] = found


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = parse_json(text)
        except DataError:
            continue
        if isinstance(line, dict) and isinstance(line.get("settings"), dict) and "found" in line:
            found.append(line)
    return found


def _key(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def run_all(
    trials: Sequence[Trial],
    run: Callable[[Trial], Kept],
    ledger: Ledger,
    spread: Callable[[Callable[[Chain], Done], Sequence[Chain]], Iterable[Done]] = map,
) -> Done:
    """Every trial with what it found, in order, but for those of `samples` that are not needed:
    once a method gets all of a draw right, larger samples of that draw are not tried.

    `spread` runs chains of trials, several at once where the machine allows.
    """
    lock = Lock()
    with tqdm(
        total=sum(trial.cost for trial in trials), desc="symmetry", unit="pair", disable=None
    ) as bar:

        def one_chain(chain: Chain) -> Done:
            done: Done = []
            for trial in chain:
                found = ledger.get(trial)
                if found is None:
                    found = run(trial)
                    with lock:
                        ledger.keep(trial, found)
                done.append((trial, found))
                with lock:
                    bar.set_postfix_str(f"{trial.protocol} {trial.variant}")
                    bar.update(trial.cost)
                if trial.protocol == "samples" and all_right(found):
                    break
            with lock:
                bar.update(sum(trial.cost for trial in chain[len(done) :]))
            return done

        return [one for done in spread(one_chain, chains(trials)) for one in done]


def chains(trials: Sequence[Trial]) -> list[Chain]:
    """Trials that wait for each other, the sizes of a draw, together; every other one alone."""
    found: dict[object, Chain] = {}
    for number, trial in enumerate(trials):
        search = (trial.variant, trial.draw)
        found.setdefault(search if trial.protocol == "samples" else number, []).append(trial)
    return list(found.values())


def all_right(found: Kept) -> bool:
    return all(row["hits"] == row["n"] for row in found["rows"])
