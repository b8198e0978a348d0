"""Lists on the wire: which page was asked for, and the link to the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.fields import Table
from api.query import Query
from api.versions import text as version_text
from api.view import Shown
from drophammer.errors import Invalid
from drophammer.pages import Page

DETAIL_SINCE = 43
ARGUMENTS = {"limit": 1, "marker": 1, "sort_key": 1, "sort_dir": 1}


def asked(query: Query, table: Table, version: int, max_limit: int) -> Page:
    """The page that a request asks for. Raises Invalid or NotAcceptable."""
    limit = query.integer("limit", least=1)
    sort_key = query.text("sort_key")
    marker = query.text("marker")
    if marker is not None and "uuid" in table.fields:
        marker = query.uuid("marker")
    return Page(
        limit=min(limit or max_limit, max_limit),
        marker=marker,
        sort_key="id" if sort_key is None else table.sort_key(sort_key, version),
        descending=_descending(query),
    )


def shown(query: Query, table: Table, version: int, detail_since: int = DETAIL_SINCE) -> Shown:
    """The fields of a list's items, by ``fields=`` and ``detail=``. Raises Invalid."""
    chosen = query.names("fields")
    if "detail" in query and version < detail_since:
        needed = version_text(detail_since)
        raise Invalid(f"The query argument 'detail' needs API version {needed}.")
    if query.boolean("detail"):
        if chosen:
            raise Invalid("fields and detail cannot be used together.")
        return table.visible(version)
    return table.chosen(chosen, version) if chosen else table.shown_in_lists(version)


def document(
    name: str, items: Sequence[Any], url: str, query: Query, page: Page, last: str | None
) -> dict[str, Any]:
    """The list, with ``next`` when the page is full. ``last`` is the last item's marker.

    All arguments are kept in ``next``: a client that follows it must not lose its filters.
    """
    found: dict[str, Any] = {name: items}
    if last is not None and len(items) == page.limit:
        found["next"] = f"{url}?{query.encoded(limit=str(page.limit), marker=last)}"
    return found


def _descending(query: Query) -> bool:
    direction = query.text("sort_dir")
    if direction in (None, "asc"):
        return False
    if direction == "desc":
        return True
    raise Invalid(f"sort_dir: {direction!r} is neither asc nor desc.")
