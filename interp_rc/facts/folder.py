"""A fact set as a folder: a header and one file of JSON lines for each of its lists."""

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from interp_rc.facts.factset import SCHEMA, DrawnFrom, FactSet
from interp_rc.facts.items import REBUILD, read_items
from interp_rc.facts.templates import Template
from interp_rc.facts.validate import Place, validate
from interp_rc.records.errors import DataError
from interp_rc.records.files import replacing_folder, write_jsonl, write_yaml
from interp_rc.records.manifest import check_part
from interp_rc.records.nouns import Document, Fact, Pair, Query, Relation, Roles
from interp_rc.records.reading import read_text
from interp_rc.records.strict_yaml import MOST_BYTES, NotYaml, parse_yaml

HEADER = "header.yaml"
NEEDED, OPTIONAL = {"schema", "seed", "roles"}, {"reserved", "drawn_from"}
LONGEST_ROLE = 40
PARTS: dict[str, type] = {
    "facts": Fact,
    "relations": Relation,
    "templates": Template,
    "documents": Document,
    "queries": Query,
    "pairs": Pair,
}
ONLY_IF_ANY = {"pairs"}


def write_facts(facts: FactSet, folder: Path) -> None:
    """Write the whole folder or nothing; an older fact set in its place is replaced.

    Raises DataError if the folder holds anything else.
    """
    refuse_other_files(folder, [HEADER, *(f"{part}.jsonl" for part in PARTS)])
    with replacing_folder(folder) as temporary:
        header: dict[str, Any] = {"schema": facts.schema, "seed": facts.seed}
        header["roles"] = facts.roles._asdict()
        header |= {"reserved": facts.reserved} if facts.reserved else {}
        header |= {"drawn_from": facts.drawn_from} if facts.drawn_from != "people" else {}
        write_yaml(temporary / HEADER, header)
        for part, kind in PARTS.items():
            if part in ONLY_IF_ANY and not getattr(facts, part):
                continue
            names = [field.name for field in fields(kind)]
            rows = ({name: getattr(item, name) for name in names} for item in getattr(facts, part))
            write_jsonl(temporary / f"{part}.jsonl", rows)


def refuse_other_files(folder: Path, ours: Collection[str]) -> None:
    """DataError if replacing `folder` would delete anything but `ours`."""
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file; give the path of a folder", file=folder)
    others = sorted(path.name for path in folder.glob("*") if path.name not in ours)
    if others:
        raise DataError(
            f"holds {others[0]!r}, which is not of this folder's kind; give a new folder",
            file=folder,
        )


def read_facts(folder: Path) -> FactSet:
    """The fact set that `write_facts` wrote.

    Raises DataError, naming file and line, for a file that is missing, not UTF-8 or not JSON
    lines, a key that is missing, unknown or of the wrong type, an unsupported schema, and
    whatever `validate` finds. Raises RunError for the facts of a run that are not what it wrote.
    """
    check_part(folder)
    header = _read_header(folder / HEADER)
    content: dict[str, Any] = {}
    places: dict[str, list[Place]] = {}
    for part, kind in PARTS.items():
        content[part], places[part] = [], []
        if part in ONLY_IF_ANY and not (folder / f"{part}.jsonl").is_file():
            continue
        for item, place in read_items(folder / f"{part}.jsonl", kind):
            content[part].append(item)
            places[part].append(place)
    facts = FactSet(**content, **header)
    validate(facts, places)
    return facts


def _read_header(path: Path) -> dict[str, Any]:
    """Seed, roles, reserved entities and `drawn_from`; the last two are there only where needed."""
    content = read_text(path, MOST_BYTES)
    try:
        header = parse_yaml(content)
    except NotYaml as error:
        message = f"not YAML ({error.problem}); correct it {REBUILD}"
        raise DataError(message, file=path, line=error.line) from None
    if not isinstance(header, dict) or "schema" not in header:
        message = f"found {header!r:.200}; needed is the key schema; correct it {REBUILD}"
        raise DataError(message, file=path, line=1)
    if header["schema"] != SCHEMA or isinstance(header["schema"], bool):
        message = f"schema {header['schema']!r:.60} is not supported, only {SCHEMA}; install the "
        raise DataError(f"{message}version that wrote it {REBUILD}", file=path, line=1)
    if set(header) - OPTIONAL != NEEDED:
        message = (
            f"found {header!r:.200}; needed are the keys {', '.join(sorted(NEEDED))}; correct it "
            f"{REBUILD}"
        )
        raise DataError(message, file=path, line=1)
    seed = header["seed"]
    if seed is not None and type(seed) is not int:
        raise DataError(
            f"seed is {seed!r:.60}; it must be a number or null",
            file=path,
            line=_line(content, "seed"),
        )
    reserved = header.get("reserved", [])
    if not isinstance(reserved, list) or not all(isinstance(text, str) for text in reserved):
        message = f"reserved is {reserved!r:.60}; it must be a list of texts"
        raise DataError(message, file=path, line=_line(content, "reserved"))
    drawn_from = header.get("drawn_from", "people")
    if drawn_from not in get_args(DrawnFrom):
        message = f"drawn_from is {drawn_from!r:.60}; known are {', '.join(get_args(DrawnFrom))}"
        raise DataError(message, file=path, line=_line(content, "drawn_from"))
    roles = header["roles"]
    if not _are_roles(roles):
        message = (
            f"roles is {roles!r:.200}; it must say what subject and object are called, e.g. "
            "{subject: capital, object: country}"
        )
        raise DataError(message, file=path, line=_line(content, "roles"))
    return {
        "seed": seed,
        "reserved": reserved,
        "drawn_from": drawn_from,
        "roles": Roles(**roles),
    }


def _are_roles(value: Any) -> bool:
    """Whether both are named, in words that fit a table's column."""
    return (
        isinstance(value, dict)
        and set(value) == set(Roles._fields)
        and all(
            isinstance(name, str) and 0 < len(name) <= LONGEST_ROLE and name.isprintable()
            for name in value.values()
        )
    )


def _line(content: str, key: str) -> int:
    """Where a key of the header stands; the first line if all are on one."""
    lines = enumerate(content.splitlines(), 1)
    return next((number for number, line in lines if line.startswith(f"{key}:")), 1)
