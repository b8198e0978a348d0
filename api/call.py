"""One request as a handler sees it, and what a handler answers.

Handlers are plain functions ``(call, *path parts) -> Reply``; nothing in them
knows WSGI.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeVar

from sqlalchemy.orm import Session

from api import body as bodies
from api.endpoint import Endpoint
from api.fields import check
from api.query import Query
from api.resolver import Resolver
from api.settings import Settings
from api.view import View
from drophammer.bus import Bus
from drophammer.errors import NodeLocked, Unavailable
from drophammer.hardware import Hardware
from drophammer.store import Store

if TYPE_CHECKING:
    from api.description import Description

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """What every request shares."""

    settings: Settings
    store: Store
    bus: Bus
    hardware: Hardware
    resources: frozenset[str]
    description: Description
    resolver: Resolver = field(default_factory=Resolver)


@dataclass(frozen=True)
class Reply:
    """Status, JSON body (None: no body at all, bytes: written already) and extra headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One request. ``node`` is filled in for the access log as soon as it is known."""

    services: Services
    version: int
    base: str
    path: str
    request_id: str
    endpoint: Endpoint
    query: Query
    stream: IO[bytes]
    length: int | None
    user: str | None = None
    node: str | None = None

    @property
    def settings(self) -> Settings:
        """The API's settings."""
        return self.services.settings

    @property
    def store(self) -> Store:
        """The database."""
        return self.services.store

    @property
    def hardware(self) -> Hardware:
        """What the conductors can drive."""
        return self.services.hardware

    def body(self, *, parts: int = bodies.MAX_PARTS, repair: bool = False) -> Any:
        """The JSON body or None, checked against the endpoint's schema. See ``body.read``."""
        limit = getattr(self.settings, self.endpoint.limit) * 1024
        found = bodies.read(self.stream, self.length, limit, parts=parts, repair=repair)
        validator = self.endpoint.validator
        if validator is not None and not (found is None and self.endpoint.optional):
            check(validator, found, "the body")
        return found

    def view(self) -> View:
        """How this request sees rows."""
        return View(self.version, self.base, self.store.clock.now(), self.hardware)

    def conductor(self, method: str, /, **arguments: Any) -> Any:
        """Have a conductor do something and wait for its answer."""
        return self.services.bus.call("conductor", method, **arguments)

    def tell_conductor(self, method: str, /, **arguments: Any) -> None:
        """Nudge a conductor. It is only a nudge: what matters has been written already."""
        with contextlib.suppress(Unavailable):
            self.services.bus.cast("conductor", method, **arguments)

    def refresh_netboot(self) -> None:
        """Say that MAC addresses or boot interfaces have changed, if netboot is there to hear."""
        with contextlib.suppress(Unavailable):
            self.services.bus.cast("netboot", "refresh")

    def write_when_free(self, change: Callable[[Session], T]) -> T:
        """Run ``change`` in a transaction; when it finds the node locked, wait and try again.

        The waiting is done outside of the transaction. Raises NodeLocked in the end.
        """
        for _ in range(self.settings.locked_attempts - 1):
            try:
                with self.store.write() as session:
                    return change(session)
            except NodeLocked:
                time.sleep(self.settings.locked_pause)
        with self.store.write() as session:
            return change(session)
