"""One page of a sorted list, the same for every noun: keyset paging, not OFFSET.

The place to go on from is the sort value and id of the last row seen, so rows that
come or go meanwhile neither repeat nor hide others. NULLs sort last on every backend.
Rows with a value and rows without are asked for one after the other: only so does an
index serve the order, and a page of a hundred thousand rows costs what one of ten does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, tuple_

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Which part of a list: at most ``limit`` rows after the row named ``marker``."""

    limit: int
    marker: str | None = None
    sort_key: str = "id"
    descending: bool = False


def read(
    run: Callable[[Select[Any]], Sequence[T]],
    query: Select[Any],
    page: Page,
    key: Any,
    row_id: Any,
    after: tuple[Any, int] | None,
) -> list[T]:
    """The rows of the page out of ``query``, each statement run by ``run``.

    ``after`` is (sort value, id) of the marker's row.
    """
    found: list[T] = []
    for part in _parts(query, page, key, row_id, after):
        if len(found) < page.limit:
            found.extend(run(part.limit(page.limit - len(found))))
    return found


def _parts(
    query: Select[Any], page: Page, key: Any, row_id: Any, after: tuple[Any, int] | None
) -> list[Select[Any]]:
    """Rows with a value and rows without, in the order in which the page has them."""
    ids = row_id.desc() if page.descending else row_id
    keys = key.desc() if page.descending else key
    valued = query.order_by(ids) if key is row_id else query.order_by(keys, ids)
    if after is not None and after[0] is not None:
        valued = valued.where(_beyond(page, key, row_id, *after))
    elif key.nullable:
        valued = valued.where(key.is_not(None))
    if not key.nullable:
        return [valued]
    empty = query.where(key.is_(None)).order_by(ids)
    if after is None:
        return [empty, valued] if page.descending else [valued, empty]
    if after[0] is not None:
        return [valued] if page.descending else [valued, empty]
    empty = empty.where(_later(page, row_id, after[1]))
    return [empty, valued] if page.descending else [empty]


def _beyond(page: Page, key: Any, row_id: Any, value: Any, last: int) -> ColumnElement[bool]:
    if key is row_id:
        return _later(page, row_id, last)
    # Bound, because SQLAlchemy refuses to compare with a literal True or False.
    return _later(page, tuple_(key, row_id), tuple_(bindparam(None, value, type_=key.type), last))


def _later(page: Page, place: Any, last: Any) -> ColumnElement[bool]:
    later: ColumnElement[bool] = place < last if page.descending else place > last
    return later
