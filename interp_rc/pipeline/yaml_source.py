"""A YAML file that remembers on which line each key stands."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.reading import read_text
from interp_rc.records.strict_yaml import (
    MOST_BYTES,
    NotYaml,
    compose_yaml,
    construct_yaml,
    parse_yaml,
)

KeyPath = tuple[int | str, ...]
MOST_STEPS = 32
"""Of a key: deeper than any configuration goes."""
MOST_DIGITS = 9
"""Of a place in a list."""
SHOWN = 200
"""Characters of an assignment that a message repeats."""


@dataclass
class Source:
    """`data` as read, and the line of every key path."""

    file: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    assigned: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """`file:line` of the key or of the nearest one above it, or the `--set` that gave it; of
        what does not go together, all of them: the file alone may well be right."""
        if not path and self.assigned:
            sets = (f"--set {text:.{SHOWN}}" for text in dict.fromkeys(self.assigned.values()))
            return f"{' '.join(sets)} (over {self.file})"
        for end in range(len(path), -1, -1):
            if path[:end] in self.assigned:
                return f"--set {self.assigned[path[:end]]:.{SHOWN}}"
            if path[:end] in self.lines:
                return f"{self.file}:{self.lines[path[:end]]}"
        return str(self.file)

    def set_value(self, data: dict[str, Any], assignment: str) -> dict[str, Any]:
        """`data` with one `a.b=value` applied; the value is read as safe YAML."""
        keys, equals, text = assignment.partition("=")
        place = f"--set {assignment:.{SHOWN}}"
        if not equals or not keys:
            raise ConfigError(f"{place}: write it as key=value, e.g. training.epochs=2")
        try:
            value = parse_yaml(text)
        except NotYaml as error:
            raise ConfigError(
                f"{place}: the value is not YAML; quote it ({error.problem})"
            ) from None
        path = _key_path(keys)
        if len(path) > MOST_STEPS:
            raise ConfigError(f"{place}: no key has {len(path)} steps; write it as in the file")
        self.lines = {key: n for key, n in self.lines.items() if key[: len(path)] != path}
        for end in range(1, len(path) + 1):
            if path[:end] not in self.lines:  # what the assignment made
                self.assigned[path[:end]] = assignment
        return with_value(data, path, value, place)

    def lay_over(self, key: str, *, used: bool) -> None:
        """Find what stood under `key` there, if it is `used` at the top, and else nowhere."""
        inner = {path[1:]: line for path, line in self.lines.items() if path[:1] == (key,)}
        inner.pop((), None)
        self.forget(key)
        if used:
            self.lines |= inner

    def forget(self, key: str) -> None:
        """Lose the lines of `key` and of all below it."""
        self.lines = {path: line for path, line in self.lines.items() if path[:1] != (key,)}

    def at(self, path: KeyPath, line: KeyPath) -> "Source":
        """A copy in which the value at `path` stands where `line` does."""
        lines = {key: n for key, n in self.lines.items() if key[: len(path)] != path}
        assigned = {key: a for key, a in self.assigned.items() if key[: len(path)] != path}
        if line in self.lines:
            lines[path] = self.lines[line]
        return replace(self, lines=lines, assigned=assigned)


def _key_path(keys: str) -> KeyPath:
    """`a.0.b` as steps; the axes of a sweep are keys with dots in them."""
    for axes in ("sweep.grid.", "sweep.random.axes."):
        if keys.startswith(axes):
            return (*axes[:-1].split("."), keys.removeprefix(axes))
    return tuple(map(step, keys.split(".")))


def step(key: str) -> int | str:
    """A part of a dotted key: a place in a list where it is a number that one can have."""
    return int(key) if key.isdecimal() and len(key) <= MOST_DIGITS else key


def with_value(data: Any, path: KeyPath, value: Any, place: str) -> Any:
    """`data` with `value` at `path`; a fault is told at `place`."""
    if not path:
        return value
    key, *rest = path
    if isinstance(data, list):
        if not isinstance(key, int) or key >= len(data):
            raise ConfigError(
                f"{place}: {key!r} is no place in a list of {len(data)}; count from 0"
            )
        return [
            with_value(v, tuple(rest), value, place) if i == key else v for i, v in enumerate(data)
        ]
    inside = data if isinstance(data, dict) else {}
    return {**inside, key: with_value(inside.get(key), tuple(rest), value, place)}


def merge(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`data` with `over` laid on top: mappings merge, everything else is replaced.

    A mapping of another `kind` replaces too: it has other keys.
    """
    merged = dict(data)
    for key, value in over.items():
        below = merged.get(key)
        alike = isinstance(value, dict) and isinstance(below, dict) and _alike(below, value)
        merged[key] = merge(below, value) if alike else value  # type: ignore[arg-type]
    return merged


def _alike(below: dict[str, Any], value: dict[str, Any]) -> bool:
    kinds = below.get("kind"), value.get("kind")
    return None in kinds or kinds[0] == kinds[1]


def read_source(file: Path) -> Source:
    """Read a mapping of safe YAML. Raises ConfigError naming file and line."""
    try:
        node = compose_yaml(read_text(file, MOST_BYTES), file)
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{file}:1: found no mapping; an experiment is a mapping of keys")
        source = Source(file, {}, {(): node.start_mark.line + 1})
        _number_lines(source, node, ())  # before merged keys are laid into the nodes
        source.data = construct_yaml(node, file)
    except DataError as error:
        raise ConfigError(str(error)) from None
    return source


def _number_lines(source: Source, node: Any, path: KeyPath) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            source.lines[(*path, index)] = item.start_mark.line + 1
            _number_lines(source, item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            source.lines[inner] = key.start_mark.line + 1
            _number_lines(source, value, inner)
