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

from sqlalchemy import ColumnElement, Select, bindparam, select, tuple_, union

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
    either: Sequence[ColumnElement[bool]] = (),
) -> list[T]:
    """The rows of the page out of ``query``, each statement run by ``run``.

    ``after`` is (sort value, id) of the marker's row. Of the conditions in ``either``, if
    there are any, a row meets one or more.
    """
    found: list[T] = []
    for part in _parts(page, key, row_id, after):
        if len(found) < page.limit:
            left = page.limit - len(found)
            wanted = query.where(_among(query, part, row_id, either, left)) if either else query
            found.extend(run(part.of(wanted).limit(left)))
    return found


@dataclass(frozen=True)
class _Part:
    """Which rows, and in which order."""

    order: tuple[Any, ...]
    where: tuple[ColumnElement[bool], ...] = ()

    def of(self, query: Select[Any]) -> Select[Any]:
        return query.where(*self.where).order_by(*self.order)


def _parts(page: Page, key: Any, row_id: Any, after: tuple[Any, int] | None) -> list[_Part]:
    """Rows with a value and rows without, in the order in which the page has them."""
    ids = row_id.desc() if page.descending else row_id
    keys = key.desc() if page.descending else key
    order = (ids,) if key is row_id else (keys, ids)
    if after is not None and after[0] is not None:
        valued = _Part(order, (_beyond(page, key, row_id, *after),))
    else:
        valued = _Part(order, (key.is_not(None),) if key.nullable else ())
    if not key.nullable:
        return [valued]
    empty = _Part((ids,), (key.is_(None),))
    if after is None:
        return [empty, valued] if page.descending else [valued, empty]
    if after[0] is not None:
        return [valued] if page.descending else [valued, empty]
    empty = _Part((ids,), (key.is_(None), _later(page, row_id, after[1])))
    return [empty, valued] if page.descending else [empty]


def _among(
    query: Select[Any],
    part: _Part,
    row_id: Any,
    either: Sequence[ColumnElement[bool]],
    limit: int,
) -> ColumnElement[bool]:
    """That a row is among the first that meet one of the conditions, each by its own index.

    With an OR, a database reads all that meet either of them: 12 ms instead of 2 for 25 of
    100,000 nodes.
    """
    ids = query.with_only_columns(row_id)
    ways = (part.of(ids.where(condition)).limit(limit).subquery() for condition in either)
    found: ColumnElement[bool] = row_id.in_(union(*(select(way.c[row_id.name]) for way in ways)))
    return found


def _beyond(page: Page, key: Any, row_id: Any, value: Any, last: int) -> ColumnElement[bool]:
    if key is row_id:
        return _later(page, row_id, last)
    # Bound, because SQLAlchemy refuses to compare with a literal True or False.
    return _later(page, tuple_(key, row_id), tuple_(bindparam(None, value, type_=key.type), last))


def _later(page: Page, place: Any, last: Any) -> ColumnElement[bool]:
    later: ColumnElement[bool] = place < last if page.descending else place > last
    return later
