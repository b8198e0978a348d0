"""One page of a sorted list, the same for every noun: keyset paging, not OFFSET.

The place to go on from is the sort value and id of the last row seen, so rows that
come or go meanwhile neither repeat nor hide others. NULLs sort last on every backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, or_


@dataclass(frozen=True)
class Page:
    """Which part of a list: at most ``limit`` rows after the row named ``marker``."""

    limit: int
    marker: str | None = None
    sort_key: str = "id"
    descending: bool = False


def cut(
    query: Select[Any],
    page: Page,
    key: Any,
    row_id: Any,
    after: tuple[Any, int] | None,
) -> Select[Any]:
    """Sort ``query`` and cut the page out. ``after`` is (sort value, id) of the marker's row."""
    if after is not None:
        query = query.where(_beyond(page, key, row_id, *after))
    if page.descending:
        return query.order_by(key.is_(None).desc(), key.desc(), row_id.desc()).limit(page.limit)
    return query.order_by(key.is_(None), key, row_id).limit(page.limit)


def _beyond(page: Page, key: Any, row_id: Any, value: Any, last: int) -> ColumnElement[bool]:
    later = row_id < last if page.descending else row_id > last
    if value is None:
        further: ColumnElement[bool] = key.is_not(None) if page.descending else false()
        return or_(further, and_(key.is_(None), later))
    # Bound, because SQLAlchemy refuses to compare with a literal True or False.
    bound = bindparam(None, value, type_=key.type)
    further = key < bound if page.descending else or_(key > bound, key.is_(None))
    return or_(further, and_(key == bound, later))
