"""JSON patches (RFC 6902) as this API takes them: add, replace and remove only.

Works on plain values and knows no noun: which root fields may be changed comes
with the table. Whether the result makes sense is checked afterwards by others.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from api import body as bodies
from api.fields import Table, check, compiled
from api.versions import text as version_text
from drophammer.errors import Invalid, NotAcceptable

ESCAPES_SINCE = 98
_PLAIN = re.compile(r"(/[\w-]+)+")
_ESCAPED = re.compile(r"(/([\w-]|~[01])+)+")

SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "op": {"enum": ["add", "replace", "remove"]},
            "path": {"type": "string"},
            "value": {},
        },
        "required": ["op", "path"],
        "additionalProperties": False,
        "if": {"properties": {"op": {"enum": ["add", "replace"]}}},
        "then": {"required": ["value"]},
    },
}


@dataclass(frozen=True)
class Step:
    """One operation: ``root`` is the field, ``path`` the keys below it."""

    op: str
    root: str
    path: tuple[str, ...]
    value: Any


def parse(document: Any, table: Table, version: int) -> list[Step]:
    """The operations of a patch. Raises Invalid or NotAcceptable."""
    check(_validator(), document, "JSON patch")
    return [_step(entry, table, version) for entry in document]


def apply(steps: list[Step], values: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """The fields that the patch touches, with their new values. ``values`` stays as it is."""
    touched: dict[str, Any] = {}
    for step in steps:
        if step.root not in touched:
            touched[step.root] = copy.deepcopy(values[step.root])
        if step.path:
            _below(step, touched[step.root])
        elif step.op == "remove":
            touched[step.root] = copy.deepcopy(table.fields[step.root].default)
        else:
            touched[step.root] = step.value
    touched = {root: table.fields[root].meant(value) for root, value in touched.items()}
    # Many small steps may build what one body may not.
    bodies.check_depth(touched)
    return touched


@functools.cache
def _validator() -> jsonschema_rs.Validator:
    return compiled(SCHEMA)


def _step(entry: Mapping[str, Any], table: Table, version: int) -> Step:
    path = entry["path"]
    escapes = version >= ESCAPES_SINCE
    if not (_ESCAPED if escapes else _PLAIN).fullmatch(path):
        if not escapes and _ESCAPED.fullmatch(path):
            raise NotAcceptable(f"An escaped path needs API version {version_text(ESCAPES_SINCE)}.")
        raise Invalid(f"'{path[:80]}' is not a path in a {table.noun}; write /field or /field/key.")
    root, *below = (part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/"))
    _check_root(root, table, version)
    return Step(entry["op"], root, tuple(below), entry.get("value"))


def _check_root(root: str, table: Table, version: int) -> None:
    found = table.fields.get(root)
    if found is None or not found.patch:
        allowed = sorted(entry.name for entry in table.visible(version) if entry.patch)
        raise Invalid(
            f"'/{root[:80]}' of a {table.noun} cannot be patched; these can: "
            f"{', '.join('/' + name for name in allowed)}."
        )
    table.check_versions((root,), version)


def _below(step: Step, document: Any) -> None:
    shown = "/".join(("", step.root, *step.path))[:200]
    for key in step.path[:-1]:
        document = _child(document, key, shown)
    last = step.path[-1]
    if isinstance(document, dict):
        _in_object(step, document, last, shown)
    elif isinstance(document, list):
        _in_list(step, document, last, shown)
    else:
        raise Invalid(f"'{shown}': what should hold the last part is neither object nor list.")


def _in_object(step: Step, document: dict[str, Any], key: str, shown: str) -> None:
    if step.op != "add" and key not in document:
        raise Invalid(f"'{shown}' does not exist and can be neither replaced nor removed.")
    if step.op == "remove":
        del document[key]
    else:
        document[key] = step.value


def _in_list(step: Step, document: list[Any], key: str, shown: str) -> None:
    if step.op == "add":
        if key == "-":
            document.append(step.value)
        else:
            document.insert(_index(key, len(document), shown), step.value)
        return
    index = _index(key, len(document) - 1, shown)
    if step.op == "remove":
        del document[index]
    else:
        document[index] = step.value


def _child(document: Any, key: str, shown: str) -> Any:
    if isinstance(document, dict) and key in document:
        return document[key]
    if isinstance(document, list):
        return document[_index(key, len(document) - 1, shown)]
    raise Invalid(f"'{shown}': there is no '{key[:80]}' on the way to it.")


def _index(key: str, largest: int, shown: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,8}", key) or int(key) > largest:
        raise Invalid(f"'{shown}': '{key[:80]}' is not a place in the list.")
    return int(key)
