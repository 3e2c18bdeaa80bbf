"""What is wrong with a configuration: the place, what was found, what is known there."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from interp_rc.pipeline.yaml_source import KeyPath, Source


def explain(
    error: ValidationError, source: Source, data: dict[str, Any], options: type[BaseModel]
) -> str:
    """All faults of `data`, a line each; `options` is the class that refused it."""
    schema = options.model_json_schema()
    return "\n".join(_line(fault, source, data, schema) for fault in error.errors())


def _line(fault: Any, source: Source, data: dict[str, Any], schema: dict[str, Any]) -> str:
    missing = fault["type"] == "missing"
    path = path_in_data(fault["loc"], data, missing=missing)
    key = ".".join(map(str, path)) or "the experiment"
    place = source.place(path)
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key `{key}`{nearest(fault['loc'], str(path[-1]), schema)}"
    if missing:
        return f"{place}: `{key}` is missing; add it"
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        known = fault.get("ctx", {}).get("expected_tags", "").replace("'", "")
        found = fault.get("ctx", {}).get("tag")
        what = "has no `kind`" if found is None else f"has unknown kind {found!r}"
        remedy = f"known: {known}" if known else "add one"
        return f"{source.place((*path, 'kind'))}: `{key}` {what}; {remedy}"
    found = fault["input"]
    shown = "" if isinstance(found, dict) else f" (found {found!r:.80})"
    return f"{place}: `{key}`: {fault['msg'].removeprefix('Value error, ')}{shown}"


def path_in_data(location: KeyPath, data: Any, *, missing: bool) -> KeyPath:
    """A validator's location without the names of the kinds that it chose on the way.

    Only the last step of a `missing` key is in no mapping of the data and yet a key.
    """
    path: list[int | str] = []
    node = data
    for number, step in enumerate(location, 1):
        there = isinstance(node, dict) and step in node
        if isinstance(node, list) and isinstance(step, int):
            there = step < len(node)
        if not there and not (missing and number == len(location)):
            continue
        path.append(step)
        node = node[step] if there else None
    return tuple(path)


def nearest(location: KeyPath, key: str, schema: dict[str, Any]) -> str:
    """A hint at the known key that looks most like `key`, and all that are known there."""
    known = known_keys(schema, location[:-1])
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    return (
        f"{hint} known here: {', '.join(known)}" if close else f"; known here: {', '.join(known)}"
    )


def known_keys(schema: dict[str, Any], location: KeyPath) -> list[str]:
    """The keys that the configuration knows at a place, by walking its JSON schema."""
    node = schema
    for step in location:
        node = _resolve(schema, node)
        if isinstance(step, int):
            node = node.get("items", {})
        elif (
            "mapping" in node.get("discriminator", {}) and step in node["discriminator"]["mapping"]
        ):
            node = {"$ref": node["discriminator"]["mapping"][step]}
        elif step in node.get("properties", {}):
            node = node["properties"][step]
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _resolve(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            return _resolve(schema, option)
    return node
