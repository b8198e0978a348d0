"""JSON columns read as the text they are kept as, for answers that send them on unchanged.

Reading a page so costs a fraction of parsing every value and writing it again. Nothing
can be looked up in such a value, and nothing in it can be masked: that is for columns
in which no secret may stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import JSON, Text, cast
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeDecorator


class StoredJSON(TypeDecorator[orjson.Fragment]):
    """A JSON text that goes into a larger one as it is; None where null is stored."""

    impl = Text
    cache_ok = True

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[str | None], orjson.Fragment | None]:
        """One call for each value; text needs none before it."""
        return _fragment


def _fragment(value: str | None) -> orjson.Fragment | None:
    return None if value is None or value == "null" else orjson.Fragment(value)


def as_stored(column: KeyedColumnElement[Any]) -> Any:
    """The column in that form; as it is when it holds no JSON."""
    if not isinstance(column.type, JSON):
        return column
    return cast(column, StoredJSON()).label(column.name)
