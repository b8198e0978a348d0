"""Warnings about a host that are about none of its nodes, as events."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError

from drophammer import events
from drophammer.clock import Clock
from drophammer.store import Store

log = logging.getLogger(__name__)


class Warn:
    """Called with a sentence about one service; never raises."""

    def __init__(self, store: Store, clock: Clock, hostname: str, service: str) -> None:
        self._store = store
        self._clock = clock
        self._hostname = hostname
        self._service = service

    def __call__(self, warning: str) -> None:
        log.warning("%s", warning)
        try:
            with self._store.write() as session:
                events.record(
                    session,
                    node_id=None,
                    at=self._clock.now(),
                    source="netboot",
                    kind="service",
                    message=f"{self._service} on {self._hostname}: warning: {warning}",
                    data={
                        "hostname": self._hostname,
                        "service": self._service,
                        "reason": warning,
                    },
                )
        except SQLAlchemyError as error:
            log.warning("an event was not written: %s", type(error).__name__)
