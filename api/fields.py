"""What a noun consists of, as data: one line per field in a table per noun.

From the table follow: which fields a version sees, what POST and PATCH accept,
the JSON schema, the sort keys, the columns to read and how each value is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from api.query import boolean
from api.versions import text as version_text
from api.view import Shown
from drophammer.errors import Invalid, NotAcceptable

Row = Mapping[str, Any]

TEXT: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255}
TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "maxLength": 255}
LONGEST = 4096
ANY_TEXT: dict[str, Any] = {"type": ["string", "null"]}
LONG_TEXT: dict[str, Any] = {"type": ["string", "null"], "maxLength": LONGEST}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
BOOLEAN_OR_NULL: dict[str, Any] = {"type": ["boolean", "null"]}
OBJECT: dict[str, Any] = {"type": "object"}
UUID: dict[str, Any] = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
    "maxLength": 36,
}
UUID_OR_NULL: dict[str, Any] = {**UUID, "type": ["string", "null"]}
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def closed(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object with just these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


LINK = closed({"href": {"type": "string"}, "rel": {"type": "string"}}, required=("href", "rel"))
LINKS: dict[str, Any] = {"type": "array", "items": LINK}


_NUMBER = re.compile(r"-?[0-9]{1,18}")
# From here on a float no longer tells one whole number from the next.
_EXACT = 2**53


@dataclass(frozen=True)
class Field:
    """One field on the wire.

    ``since`` is the first minor microversion; ``schema`` is what its values fit, shown
    or given; ``create`` and ``patch`` say whether POST and PATCH take it. ``columns`` are what
    must be read to show it (by default the column of the same name), ``show``
    turns the row into the value. ``masked`` hides secrets inside. ``sort`` says
    that a list may be sorted by it, or by which column. ``default`` is what removing it leaves.
    """

    name: str
    since: int = 1
    schema: Mapping[str, Any] = field(default_factory=dict)
    create: bool = False
    patch: bool = False
    columns: tuple[str, ...] | None = None
    show: Callable[[Row, Any], Any] | None = None
    masked: bool = False
    sort: bool | str = False
    default: Any = None

    def meant(self, value: Any) -> Any:
        """What a client meant: command lines send yes, no and numbers as texts."""
        if not isinstance(value, str):
            return _whole(value, self.schema)
        kinds = self.schema.get("type", ())
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        if "boolean" in kinds:
            yes = boolean(value)
            return value if yes is None else yes
        if "integer" in kinds and _NUMBER.fullmatch(value):
            return int(value)
        return value

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns needed to show it."""
        return (self.name,) if self.columns is None else self.columns


def _whole(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with 1.0 as 1 where an integer is due: to JSON these are one number."""
    if isinstance(value, float):
        due = "integer" in schema.get("type", ()) and abs(value) < _EXACT and value.is_integer()
        return int(value) if due else value
    if isinstance(value, list) and "items" in schema:
        return [_whole(item, schema["items"]) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {name: _whole(inner, known.get(name, {})) for name, inner in value.items()}
    return value


class Table:
    """The fields of one noun. ``brief`` is what lists show unless told otherwise."""

    def __init__(
        self, noun: str, plural: str, fields: Sequence[Field], brief: Sequence[str]
    ) -> None:
        self.noun = noun
        self.plural = plural
        self.fields = {entry.name: entry for entry in fields}
        self.brief = tuple(brief)
        self._validator: jsonschema_rs.Validator | None = None
        self._visible: dict[int, Shown] = {}
        self._in_lists: dict[int, Shown] = {}

    def visible(self, version: int) -> Shown:
        """All fields that a version sees."""
        if version not in self._visible:
            entries = (entry for entry in self.fields.values() if entry.since <= version)
            self._visible[version] = Shown(entries)
        return self._visible[version]

    def chosen(self, names: Collection[str], version: int) -> Shown:
        """The fields named in ``fields=``. Raises Invalid or NotAcceptable."""
        unknown = sorted(set(names) - set(self.fields))
        if unknown:
            raise Invalid(f'Field(s) "{", ".join(unknown)}" are not known for {self.plural}.')
        self.check_versions(names, version)
        # Links always come along, where there are any.
        always = [name for name in ("links",) if name in self.fields]
        return Shown(self.fields[name] for name in dict.fromkeys((*names, *always)))

    def shown_in_lists(self, version: int) -> Shown:
        """The few fields of an item in a list."""
        if version not in self._in_lists:
            entries = (self.fields[name] for name in self.brief)
            self._in_lists[version] = Shown(entry for entry in entries if entry.since <= version)
        return self._in_lists[version]

    def check_versions(self, names: Collection[str], version: int) -> None:
        """Raise NotAcceptable for a field that is newer than the request's version."""
        for name in names:
            since = self.fields[name].since
            if since > version:
                raise NotAcceptable(
                    f"The field '{name}' of a {self.noun} needs API version "
                    f"{version_text(since)}; the request speaks {version_text(version)}."
                )

    def check_new(self, body: Any, version: int, required: Sequence[str]) -> dict[str, Any]:
        """The body of a POST, checked. Raises Invalid or NotAcceptable."""
        if not isinstance(body, dict):
            raise Invalid(f"The body must be a JSON object that describes a {self.noun}.")
        allowed = {name for name, entry in self.fields.items() if entry.create}
        unknown = sorted(set(body) - allowed)
        if unknown:
            raise Invalid(f"Unexpected arguments: {', '.join(name[:80] for name in unknown[:20])}")
        self.check_versions(body, version)
        for name in required:
            if body.get(name) is None:
                raise Invalid(f"Missing mandatory parameter: {name}")
        self.check_values(body)
        return body

    def check_values(self, values: Mapping[str, Any]) -> None:
        """Raise Invalid when a value does not fit its field's schema."""
        validator = self._validator
        if validator is None:
            # Compiled at the first use and kept: it costs more than using it.
            schemas = {name: entry.schema for name, entry in self.fields.items() if entry.schema}
            validator = self._validator = compiled(closed(schemas))
        check(validator, dict(values), self.noun)

    def sort_key(self, name: str, version: int) -> str:
        """The column to sort by. Raises Invalid or NotAcceptable."""
        if name == "id":
            # No field, but clients name the default by it: the order of creation.
            return name
        entry = self.fields.get(name)
        if entry is None or not entry.sort:
            raise Invalid(f"sort_key: {self.plural} cannot be sorted by {name[:80]!r}.")
        self.check_versions((name,), version)
        return entry.sort if isinstance(entry.sort, str) else name


def compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """A validator that never quotes a value."""
    return jsonschema_rs.validator_for(dict(schema), mask="the value")


def check(validator: jsonschema_rs.Validator, value: Any, what: str) -> None:
    """Raise Invalid that says where ``value`` does not fit and why."""
    try:
        # Stops at the first error. To collect them all may cost gigabytes.
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(str(part)[:80] for part in error.instance_path)
        raise Invalid(
            f"Schema error for {what}: {place + ': ' if place else ''}{error.message[:1000]}"
        ) from None
