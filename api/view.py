"""Rows as wire JSON: the one serializer, for every noun and every verb.

It shows what the version may see, hides secrets, and writes links. It reads nothing
from the database but the snapshot of conductors it is given. Times stay times: they
are written with the rest of the answer (``wire.py``).
"""

from __future__ import annotations

import datetime
import functools
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from drophammer.hardware import Hardware, Snapshot
from drophammer.masking import mask

if TYPE_CHECKING:
    from api.fields import Field

Row = Mapping[str, Any]


class Shown(tuple["Field", ...]):
    """Fields to show, with what follows from them worked out once and not per row."""

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        """The columns that must be read."""
        return frozenset(column for entry in self for column in entry.reads)

    @functools.cached_property
    def stored(self) -> frozenset[str]:
        """Those that nothing looks into, so that they may be read as they are stored.

        Never one of a masked field: what is masked is always looked into.
        """
        looked_into = {
            column
            for entry in self
            if entry.show is not None or entry.masked
            for column in entry.reads
        }
        return self.columns - looked_into

    @functools.cached_property
    def blank(self) -> dict[str, None]:
        """All names, in order."""
        return dict.fromkeys(entry.name for entry in self)

    @functools.cached_property
    def plain(self) -> tuple[str, ...]:
        """The names of the fields that are shown as they were read."""
        return tuple(entry.name for entry in self if _maker(entry) is None)

    @functools.cached_property
    def read(self) -> Callable[[Row], tuple[Any, ...]]:
        """The values of the plain fields of a row, and one more: one alone is no tuple."""
        return operator.itemgetter(*self.plain, self.plain[0]) if self.plain else lambda row: ()

    @functools.cached_property
    def made(self) -> list[tuple[str, Callable[[Row, View], Any]]]:
        """The other fields, and how the value of each is made."""
        makers = ((entry.name, _maker(entry)) for entry in self)
        return [(name, maker) for name, maker in makers if maker is not None]


class View:
    """How one request sees things: its version, its base URL, its moment."""

    def __init__(self, version: int, base: str, now: datetime.datetime, hardware: Hardware) -> None:
        self.version = version
        self.base = base
        self.now = now
        self._hardware = hardware

    @functools.cached_property
    def conductors(self) -> Snapshot:
        """Who runs: the same for all rows of an answer."""
        return self._hardware.snapshot()

    def conductor_of(self, driver: str, group: str) -> str | None:
        """Host name of the running conductor for such nodes, or None."""
        return self.conductors.conductor_of(driver, group)

    def show(self, row: Row, fields: Shown) -> dict[str, Any]:
        """A row as a JSON object of ``fields``."""
        shown: dict[str, Any] = fields.blank.copy()
        shown.update(zip(fields.plain, fields.read(row), strict=False))
        for name, make in fields.made:
            shown[name] = make(row, self)
        return shown

    def links(self, *path: str) -> orjson.Fragment:
        """The self and bookmark links of a resource, written already: there are many."""
        below, bookmark = self._bases
        tail = _inside("/".join(path))
        return orjson.Fragment(
            f'[{{"href":"{below}{tail}","rel":"self"}},'
            f'{{"href":"{bookmark}{tail}","rel":"bookmark"}}]'
        )

    def link(self, *path: str) -> dict[str, str]:
        """The self link alone."""
        return {"href": f"{self.base}/v1/{'/'.join(path)}", "rel": "self"}

    @functools.cached_property
    def _bases(self) -> tuple[str, str]:
        return _inside(f"{self.base}/v1/"), _inside(f"{self.base}/")


def time(value: datetime.datetime | None) -> str | None:
    """A moment in ISO 8601 with its offset."""
    return None if value is None else value.isoformat()


def _inside(text: str) -> str:
    """What stands between the quotes when a text is written as JSON."""
    return orjson.dumps(text)[1:-1].decode()


def _maker(entry: Field) -> Callable[[Row, View], Any] | None:
    """How a field's value comes out of a row; None: it is in the row as it is shown."""
    name, show, masked = entry.name, entry.show, entry.masked
    is_object = entry.schema.get("type") == "object"
    if not masked and not is_object:
        return show

    def made(row: Row, view: View) -> Any:
        value = row[name] if show is None else show(row, view)
        if not value:
            # As most are. There is nothing to hide, and no object is shown as null.
            return {} if is_object else value
        return mask(value) if masked else value

    return made
