"""JSON schemas of what goes over the wire, made from the tables of fields.

Shown, created and patched forms of each noun, and the shapes of errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api import patch
from api.fields import Field, Table
from api.versions import text as version_text

Schema = dict[str, Any]
SINCE = "x-drophammer-since"

_FAULT: Schema = {
    "type": "object",
    "properties": {
        "faultcode": {"enum": ["Client", "Server"]},
        "faultstring": {"type": "string"},
        "debuginfo": {"type": "null"},
    },
    "required": ["faultcode", "faultstring", "debuginfo"],
    "additionalProperties": False,
}
_ROUTER: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "integer"},
        "title": {"type": "string"},
        "description": {"type": "string"},
    },
    "required": ["code", "title", "description"],
    "additionalProperties": False,
}
ERRORS: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "description": "A refusal. The text is JSON itself.",
        "properties": {
            "error_message": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"oneOf": [_FAULT, _ROUTER]},
            }
        },
        "required": ["error_message"],
        "additionalProperties": False,
    },
    "BodyRefused": {
        "type": "object",
        "description": "A refusal before the body was looked at: too large, too deep.",
        "properties": {
            "faultcode": {"enum": ["Client", "Server"]},
            "faultstring": {"type": "string"},
        },
        "required": ["faultcode", "faultstring"],
        "additionalProperties": False,
    },
    "PasswordRefused": {
        "type": "object",
        "description": "A refusal of a user name and password.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {"message": {"type": "string"}, "code": {"type": "integer"}},
                "required": ["message", "code"],
                "additionalProperties": False,
            }
        },
        "required": ["error"],
        "additionalProperties": False,
    },
}


def name_of(table: Table) -> str:
    """``deploy template`` as ``DeployTemplate``."""
    return "".join(word.capitalize() for word in table.noun.replace("_", " ").split())


def ref(name: str, kind: str = "schemas") -> Schema:
    """A reference to a component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def since(minor: int) -> Schema:
    """The note of the first version; nothing for what was always there."""
    return {SINCE: version_text(minor)} if minor > 1 else {}


def gated(schema: Mapping[str, Any], versions: Mapping[str, int]) -> Schema:
    """The schema of an object, with the first versions of its properties."""
    noted = {name: since(minor) for name, minor in versions.items()}
    properties = {
        name: {**entry, **noted.get(name, {})} for name, entry in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def one_of(words: Mapping[str, int]) -> Schema:
    """A word, described by those there are; which are right is the handler's to say."""
    told = (f"{word} ({version_text(minor)})" for word, minor in words.items())
    return {"type": "string", "description": f"One of {', '.join(told)}."}


def shown(table: Table) -> Schema:
    """What a response holds. Versions and ``fields=`` leave fields out, so none is required."""
    return {
        "type": "object",
        "properties": _properties(table.fields.values()),
        "additionalProperties": False,
    }


def created(table: Table, required: Iterable[str], more: Mapping[str, Field]) -> Schema:
    """What a POST takes."""
    fields = [entry for entry in table.fields.values() if entry.create]
    return {
        "type": "object",
        "properties": _properties([*fields, *more.values()]),
        "required": list(required),
        "additionalProperties": False,
    }


def patched(table: Table) -> Schema:
    """What a PATCH takes."""
    names = [entry.name for entry in table.fields.values() if entry.patch]
    items: Schema = dict(patch.SCHEMA["items"])
    path = {
        "type": "string",
        "pattern": f"^/({'|'.join(names)})(/.+)?$",
        "description": f"The field, and keys below it. These can change: {', '.join(names)}.",
    }
    items["properties"] = {**items["properties"], "path": path}
    return {**patch.SCHEMA, "items": items}


def part(table: Table, names: Iterable[str]) -> Schema:
    """What a response holds that shows just these fields of a table."""
    return {
        "type": "object",
        "properties": _properties(table.fields[name] for name in names),
        "additionalProperties": False,
    }


def listed(table: Table) -> Schema:
    """A page of a list."""
    return {
        "type": "object",
        "properties": {
            table.plural: {"type": "array", "items": ref(name_of(table))},
            "next": {"type": "string", "description": "The URL of the next page, if there is one."},
        },
        "required": [table.plural],
        "additionalProperties": False,
    }


def _properties(fields: Iterable[Field]) -> Schema:
    return {entry.name: {**entry.schema, **since(entry.since)} for entry in fields}
