"""One request as a handler sees it, and what a handler answers.

Handlers are plain functions ``(call, *path parts) -> Reply``; nothing in them
knows WSGI.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeVar

from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers, MIMEAccept
from werkzeug.http import parse_accept_header

from api import body as bodies
from api.beats import Beats
from api.endpoint import Endpoint
from api.eventstream import EventStream
from api.fields import check
from api.query import Query
from api.reach import Place, Reach
from api.reply import Reply as Reply
from api.resolver import Resolver
from api.settings import Settings
from api.view import View
from api.waiting import WaitingRoom
from drophammer.bus import Bus
from drophammer.errors import Unavailable
from drophammer.hardware import Hardware
from drophammer.health import Health
from drophammer.store import Store

if TYPE_CHECKING:
    from api.description import Description

T = TypeVar("T")
# Takes a function that is given the connection once the response's header has been sent.
TakeOver = Callable[[Callable[[socket.socket], None]], None]


@dataclass(frozen=True)
class Services:
    """What every request shares."""

    settings: Settings
    store: Store
    bus: Bus
    hardware: Hardware
    resources: frozenset[str]
    description: Description
    waiting: WaitingRoom
    beats: Beats
    stream: EventStream
    health: Health
    resolver: Resolver = field(default_factory=Resolver)


@dataclass
class Call:
    """One request. ``node`` is filled in for the access log as soon as it is known.

    ``place``: the driver and conductor group of that node.
    """

    services: Services
    version: int
    base: str
    path: str
    request_id: str
    endpoint: Endpoint
    query: Query
    stream: IO[bytes]
    length: int | None
    headers: Headers = field(default_factory=Headers)
    take_over: TakeOver | None = None
    user: str | None = None
    node: str | None = None
    place: Place | None = None

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

    def prefers(self, media: str, other: str) -> bool:
        """Whether the client would rather have ``media``, or has no wish at all."""
        wishes = parse_accept_header(self.headers.get("Accept"), MIMEAccept)
        return not wishes or wishes.best_match([media, other]) == media

    def conductor(self, method: str, /, **arguments: Any) -> Any:
        """Have a conductor do something and wait for its answer."""
        return self._reach().call(method, arguments, self.place)

    def tell_conductor(self, method: str, /, **arguments: Any) -> None:
        """Nudge a conductor. It is only a nudge: what matters has been written already."""
        with contextlib.suppress(Unavailable):
            self._reach().tell(method, arguments, self.place)

    def refresh_netboot(self) -> None:
        """Say that MAC addresses or boot interfaces have changed, if netboot is there to hear."""
        with contextlib.suppress(Unavailable):
            self.services.bus.cast("netboot", "refresh")

    def check_turn(self, node: str) -> None:
        """Raise NodeLocked when other requests have waited longer for the node."""
        self.services.waiting.check_turn(node)

    def conductor_when_free(self, method: str, /, **arguments: Any) -> Any:
        """Have a conductor do something that needs the request's node for itself.

        When somebody holds the node, wait and try again. Raises NodeLocked in the end.
        """

        def attempt() -> Any:
            if self.node is not None:
                self.check_turn(self.node)
            return self.conductor(method, **arguments)

        return self.services.waiting.when_free(lambda: self.node or self.path, attempt)

    def write_when_free(self, change: Callable[[Session], T], *, key: str | None = None) -> T:
        """Run ``change`` in a transaction; when it finds the node locked, wait and try again.

        The waiting is done outside of the transaction, for the request's node or with all
        who wait for ``key``. Raises NodeLocked in the end.
        """

        def attempt() -> T:
            with self.store.write() as session:
                return change(session)

        return self.services.waiting.when_free(lambda: key or self.node or self.path, attempt)

    def _reach(self) -> Reach:
        return Reach(self.store, self.services.bus, self.hardware)
