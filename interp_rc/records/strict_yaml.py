"""Safe YAML within bounds: texts, finite numbers, lists and mappings, as JSON has them.

PyYAML's own constructors fail on what people write by mistake (`!!int x`, `2024-99-99`), and a few
lines of aliases can stand for billions of nodes. Here a date is a text, and 1e-5 a number, as in
YAML 1.2.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from interp_rc.records.errors import DataError
from interp_rc.records.reading import lone_surrogate, read_text
from interp_rc.records.strict_json import WHOLE_NUMBERS

MOST_BYTES = 2**22
MOST_NODES = 150_000
"""With what aliases stand for."""
MOST_DEEP = 64
MOST_DIGITS = 100
_TAG = "tag:yaml.org,2002:"
NUMBERS = {f"{_TAG}int", f"{_TAG}float"}
OTHER_TYPES = "timestamp binary set omap pairs value".split()


class NotYaml(DataError):
    """A text that is no YAML, or none that is used here; `problem` and `line` say what is wrong."""

    def __init__(self, problem: str, *, file: object = None, line: int | None = None) -> None:
        self.problem, self.line = problem[:300], line
        super().__init__(f"not YAML ({self.problem})", file=file, line=line)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader that counts what it composes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self.depth += 1
        self.nodes += 1
        if self.depth > MOST_DEEP:
            raise _fault(f"nested more than {MOST_DEEP} deep", mark)
        if self.nodes > MOST_NODES:
            raise _fault(f"more than {MOST_NODES:,} values", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def scalar(self, node: Any) -> Any:
        """Construct a number or a truth value; texts that are none are a fault of the file."""
        kind = node.tag.removeprefix(_TAG)
        if node.tag in NUMBERS and len(str(node.value)) > MOST_DIGITS:
            raise _fault(f"a number of more than {MOST_DIGITS} digits", node.start_mark)
        try:
            value = getattr(yaml.SafeLoader, f"construct_yaml_{kind}")(self, node)
        except (ValueError, LookupError, OverflowError):
            raise _fault(f"{node.value!r:.60} is no {kind}", node.start_mark) from None
        if isinstance(value, int) and value not in WHOLE_NUMBERS:
            raise _fault(f"the number {node.value:.30} has more than 64 bits", node.start_mark)
        if isinstance(value, float) and not math.isfinite(value):
            raise _fault(f"the number {node.value:.30} is not finite", node.start_mark)
        return value


_Loader.yaml_implicit_resolvers = {
    first: kept
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [rule for rule in rules if rule[0].removeprefix(_TAG) not in OTHER_TYPES])
}


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that quotes a text such as 1e5, which is a number here, and escapes
    the line breaks that it would write as they are and not read back."""

    def text(self, value: str) -> yaml.ScalarNode:
        style = '"' if any(character in value for character in "\x85\u2028\u2029") else None
        return self.represent_scalar(f"{_TAG}str", value, style)


_Dumper.add_representer(str, _Dumper.text)


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        f"{_TAG}float",
        re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
        [*"-+0123456789"],
    )
for _name in ("int", "float", "bool"):
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader.scalar)
for _name in OTHER_TYPES:
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader.construct_undefined)  # type: ignore[type-var]


def compose_yaml(text: str, file: object = None) -> yaml.Node | None:
    """Compose the nodes of one YAML document, checked; None for an empty one.

    Raises NotYaml, naming the line, for what is not YAML, more than one document, more than
    `MOST_NODES` values or `MOST_DEEP` levels (aliases as often as they stand), a part that holds
    itself, keys that are no text or come twice, and half of a surrogate pair.
    """
    loader = None
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
        if node is not None:
            _Checked().measure(node)
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, file) from None
    except (ValueError, OverflowError) as error:  # "\U00110000", or a version of 5,000 digits
        line = None if loader is None else loader.line + 1
        raise NotYaml(f"cannot be read: {error}", file=file, line=line) from None
    return node


def construct_yaml(node: yaml.Node | None, file: object = None) -> Any:
    """Construct what composed nodes stand for: null, booleans, numbers, texts, lists, mappings.

    Raises NotYaml, naming the line, for any other type, and for numbers that are none, are not
    finite or have more than 64 bits.
    """
    if node is None:
        return None
    try:
        return _Loader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _not_yaml(error, "", file) from None


def parse_yaml(text: str, file: object = None) -> Any:
    """Parse one YAML document. Raises NotYaml as `compose_yaml` and `construct_yaml` do."""
    return construct_yaml(compose_yaml(text, file), file)


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises DataError as `read_text` and `parse_yaml` do."""
    return parse_yaml(read_text(path, MOST_BYTES), path)


def yaml_text(value: Any) -> str:
    """Write a value as YAML that `parse_yaml` reads back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Checked:
    """What is already measured of a document, node by node, so that no alias is followed twice."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int] | None] = {}

    def measure(self, node: Any) -> tuple[int, int]:
        """How many values a node stands for, and how many levels."""
        if id(node) in self.known:
            measured = self.known[id(node)]
            if measured is None:
                raise _fault("a part holds itself", node.start_mark)
            return measured
        self.known[id(node)] = None
        if isinstance(node, yaml.ScalarNode):
            if lone_surrogate(node.value):
                raise _fault("a text holds half of a surrogate pair", node.start_mark)
            inner = []
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node)
            inner = [self.measure(part) for pair in node.value for part in pair]
        else:
            inner = [self.measure(part) for part in node.value]
        size = 1 + sum(size for size, _ in inner)
        depth = 1 + max((depth for _, depth in inner), default=0)
        if size > MOST_NODES or depth > MOST_DEEP:
            raise _fault(
                f"more than {MOST_NODES:,} values or {MOST_DEEP} levels, aliases as often as they "
                "stand",
                node.start_mark,
            )
        self.known[id(node)] = size, depth
        return size, depth


def _check_keys(node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
            shown = (
                f"`{key.value:.60}`" if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            )
            raise _fault(f"the key {shown} is no text; quote it", key.start_mark)
        if key.value in first:
            raise _fault(
                f"`{key.value:.60}` stands twice (first in line {first[key.value]}); delete one",
                key.start_mark,
            )
        first[key.value] = key.start_mark.line + 1


def _fault(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _not_yaml(error: yaml.YAMLError, text: str, file: object) -> NotYaml:
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", None)
    line = mark.line + 1 if mark else None
    if line is None and isinstance(position, int):  # a character that YAML does not have
        line = text.count("\n", 0, position) + 1
        return NotYaml(
            f"the character U+{ord(text[position]):04X} is not allowed", file=file, line=line
        )
    return NotYaml(getattr(error, "problem", None) or "cannot be read", file=file, line=line)
