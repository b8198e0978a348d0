"""What an import asks the database, and tells it: pins and events. It works without, too."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from drophammer import events, pins
from drophammer.errors import Invalid, Unavailable
from drophammer.store import Store
from netboot.resources import names

log = logging.getLogger(__name__)


class ImportRecords:
    """The importer's ``used`` and ``tell``, over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def used(self) -> set[str]:
        """The snapshots that boots name. Raises Unavailable when that cannot be known."""
        try:
            with self._store.ask() as connection:
                urls = pins.urls_in_use(connection, names.SCHEME)
        except SQLAlchemyError as error:
            raise Unavailable(
                f"The database did not answer ({type(error).__name__}), so no old boot resources "
                "are removed now; see that it runs."
            ) from error
        return {snapshot for url in urls if (snapshot := _snapshot(url)) is not None}

    def tell(self, message: str, data: dict[str, Any]) -> None:
        """Write an event; what cannot be written is in the log at least."""
        try:
            with self._store.write() as session:
                events.record(
                    session,
                    node_id=None,
                    at=self._store.clock.now(),
                    source="netboot",
                    kind="import",
                    message=message,
                    data=data,
                )
        except SQLAlchemyError as error:
            log.warning("no event for %r: %s", message, type(error).__name__)


def _snapshot(url: str) -> str | None:
    try:
        return names.parse_url(url)[0]
    except Invalid:
        return None
