"""Queries on what boots name: the URLs of boot resources that must not go away."""

from __future__ import annotations

from sqlalchemy import or_, select

from drophammer.model import BootSpecRow
from drophammer.store import Reader

_COLUMNS = (BootSpecRow.kernel, BootSpecRow.ramdisk, BootSpecRow.root)


def urls_in_use(reader: Reader, scheme: str) -> set[str]:
    """All URLs in boot specs that begin with ``scheme``."""
    query = select(*_COLUMNS).where(
        or_(*(column.startswith(scheme, autoescape=True) for column in _COLUMNS))
    )
    return {url for row in reader.execute(query) for url in row if url and url.startswith(scheme)}
