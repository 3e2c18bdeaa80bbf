"""A YAML file that remembers on which line each key stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.files import read_text

KeyPath = tuple[int | str, ...]


@dataclass
class Source:
    """`data` as read, and the line of every key path."""

    file: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    assigned: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """`file:line` of the key or of the nearest one above it, or the `--set` that gave it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.assigned:
                return f"--set {self.assigned[path[:end]]}"
            if path[:end] in self.lines:
                return f"{self.file}:{self.lines[path[:end]]}"
        return str(self.file)

    def path_in_data(self, location: KeyPath) -> KeyPath:
        """A validator's location without the names of the kinds that it chose on the way."""
        kinds = {"people", "folder", "published", "embedded", "pretrained"}
        kinds |= {"finetune", "prompt_tuning"}
        path: list[int | str] = []
        previous: int | str = ""
        for step in location:
            chosen = previous in ("facts", "model", "training") and step in kinds
            chosen = chosen or (isinstance(previous, int) and isinstance(step, str))
            if not (chosen and len(path) in (1, 2)):
                path.append(step)
            previous = step
        return tuple(path)

    def set_value(self, data: dict[str, Any], assignment: str) -> dict[str, Any]:
        """`data` with one `a.b=value` applied; the value is read as safe YAML."""
        keys, equals, text = assignment.partition("=")
        if not equals or not keys:
            raise ConfigError(f"--set {assignment}: write it as key=value, e.g. training.epochs=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {assignment}: the value is not YAML; quote it") from None
        path = tuple(int(k) if k.isdecimal() else k for k in keys.split("."))
        self.lines = {key: n for key, n in self.lines.items() if key[: len(path)] != path}
        for end in range(1, len(path) + 1):
            if path[:end] not in self.lines:  # what the assignment made
                self.assigned[path[:end]] = assignment
        return _with_value(data, path, value, assignment)

    def lay_over(self, key: str, *, used: bool) -> None:
        """Find what stood under `key` there, if it is `used` at the top, and else nowhere."""
        inner = {path[1:]: line for path, line in self.lines.items() if path[:1] == (key,)}
        inner.pop((), None)
        self.lines = {path: line for path, line in self.lines.items() if path[:1] != (key,)}
        if used:
            self.lines |= inner


def _with_value(data: Any, path: KeyPath, value: Any, assignment: str) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(data, list):
        if not isinstance(key, int) or key >= len(data):
            raise ConfigError(
                f"--set {assignment}: {key!r} is no place in a list of {len(data)}; count from 0"
            )
        return [
            _with_value(v, tuple(rest), value, assignment) if i == key else v
            for i, v in enumerate(data)
        ]
    inside = data if isinstance(data, dict) else {}
    return {**inside, key: _with_value(inside.get(key), tuple(rest), value, assignment)}


def merge(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`data` with `over` laid on top: mappings merge, everything else is replaced."""
    merged = dict(data)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def read_source(file: Path) -> Source:
    """Read a YAML mapping with PyYAML's safe loader. Raises ConfigError naming file and line."""
    try:
        text = read_text(file)
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except DataError as error:
        raise ConfigError(str(error)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise ConfigError(f"{file}{line}: not YAML ({problem})") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{file}:1: found no mapping; an experiment is a mapping of keys")
    source = Source(file, data, {(): node.start_mark.line + 1})
    try:
        _number_lines(source, node, ())
    except RecursionError:
        raise ConfigError(f"{file}:1: not YAML that can be used (a part holds itself)") from None
    return source


def _number_lines(source: Source, node: Any, path: KeyPath) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            source.lines[(*path, index)] = item.start_mark.line + 1
            _number_lines(source, item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            line = key.start_mark.line + 1
            if inner in source.lines:
                raise ConfigError(
                    f"{source.file}:{line}: `{key.value}` stands twice (first in line "
                    f"{source.lines[inner]}); delete one"
                )
            source.lines[inner] = line
            _number_lines(source, value, inner)
