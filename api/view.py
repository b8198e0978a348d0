"""Rows as wire JSON: the one serializer, for every noun and every verb.

It shows what the version may see, hides secrets, and writes times and links. It
reads nothing from the database but the snapshot of conductors it is given.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from api.fields import Field
from drophammer.hardware import Hardware, Snapshot
from drophammer.masking import mask

Link = dict[str, str]


class View:
    """How one request sees things: its version, its base URL, its moment."""

    def __init__(self, version: int, base: str, now: datetime.datetime, hardware: Hardware) -> None:
        self.version = version
        self.base = base
        self.now = now
        self._hardware = hardware

    @property
    def conductors(self) -> Snapshot:
        """Who runs; read at most once in some seconds however many rows ask."""
        return self._hardware.snapshot()

    def show(self, row: Mapping[str, Any], fields: Iterable[Field]) -> dict[str, Any]:
        """A row as a JSON object of ``fields``."""
        return {entry.name: self._value(row, entry) for entry in fields}

    def links(self, *path: str) -> list[Link]:
        """The self and bookmark links of a resource."""
        tail = "/".join(path)
        return [
            {"href": f"{self.base}/v1/{tail}", "rel": "self"},
            {"href": f"{self.base}/{tail}", "rel": "bookmark"},
        ]

    def _value(self, row: Mapping[str, Any], entry: Field) -> Any:
        value = row[entry.name] if entry.show is None else entry.show(row, self)
        if value is None and entry.schema.get("type") == "object":
            value = {}
        if entry.masked:
            value = mask(value)
        return time(value) if isinstance(value, datetime.datetime) else value


def time(value: datetime.datetime | None) -> str | None:
    """A moment in ISO 8601 with its offset."""
    return None if value is None else value.isoformat()


def columns(fields: Iterable[Field]) -> set[str]:
    """The columns that must be read to show ``fields``."""
    return {column for entry in fields for column in entry.reads}
