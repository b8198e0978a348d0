"""Calls between roles: oslo.messaging, or in process, chosen by the transport URL.

Both go through the same JSON round trip and return the same errors, so that what
works in one process works between hosts. An endpoint is an object whose public
methods take keyword arguments of JSON types and return JSON.

``local://`` exists because oslo.messaging's in-memory driver sleeps 50 ms between
polls: an idle call costs 50 ms there and about 0.1 ms here.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import threading
from typing import Any, Protocol

from oslo_config import cfg

from drophammer import errors, trace
from drophammer.bus_answer import Request, answer
from drophammer.clock import Clock, SystemClock
from drophammer.model import new_uuid

CALL_SECONDS = 60.0
# A call that no server has begun after this long is not begun any more.
BEGIN_SECONDS = 2.5


class Unanswered(errors.DeadlineExceeded):
    """Nobody answers any more; ``request`` is by what the work is known if it was begun.

    It cannot be begun after this has been raised.
    """

    def __init__(self, message: str, request: str = "") -> None:
        super().__init__(message)
        self.request = request


class Served(Protocol):
    """An endpoint that takes calls until it is stopped."""

    def stop(self) -> None:
        """Take no more calls, end those that have been taken, answer them."""


class Bus(Protocol):
    """How one role reaches another.

    An address is a topic, such as "conductor", or "topic@server" for one server of it.
    """

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        """Run ``method`` on one server of ``address`` and return its result, or raise its error.

        Raises Unavailable when nobody serves it, or the bus does not work: then nothing has
        been done nor will be. Raises Unanswered when that is not known.
        """

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        """Have ``method`` run on one server of ``address``; its result and errors are dropped.

        Only for what somebody would do sooner or later anyway: it may get lost.
        """

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        """Let ``endpoint`` answer for ``topic``."""

    def trouble(self) -> str:
        """Why calls cannot be made at present; empty when nothing is known to be wrong."""

    def close(self) -> None:
        """Let go of connections and threads."""


def connect(
    url: str, conf: cfg.ConfigOpts, *, clock: Clock | None = None, signing_key: str = ""
) -> Bus:
    """The bus that ``url`` names: ``local://``, or any oslo.messaging transport URL.

    ``conf`` is for oslo.messaging's own options and must not hold ours: it declares
    some of the same names. ``clock`` is one that all who share the bus go by.
    """
    if url.startswith("local:"):
        return LocalBus()
    # Imported here: it costs the embedded mode half a second and 30 MB for nothing.
    from drophammer.bus_oslo import OsloBus

    return OsloBus(conf, url, clock=clock or SystemClock(), key=signing_key)


def split(address: str) -> tuple[str, str]:
    """Topic and server of an address; the server is empty when any will do."""
    topic, _, server = address.partition("@")
    return topic, server


def result_of(told: dict[str, Any]) -> Any:
    """The result that an endpoint's answer holds, or its error, raised."""
    if "error" in told:
        raise errors.by_name().get(told["error"], errors.DrophammerError)(told["message"])
    return told["result"]


class LocalBus:
    """Roles in one process: a few threads per topic, JSON in and out.

    With a ``clock``, the store's, calls are begun soon or not at all.
    """

    def __init__(self, threads: int = 32, clock: Clock | None = None) -> None:
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._served: dict[str, _LocalServer] = {}

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        topic, _ = split(address)
        request = Request(new_uuid(), self._until(), trace.request())
        future = self._server(topic).submit(method, json.dumps(arguments), request)
        try:
            return result_of(json.loads(future.result(timeout=CALL_SECONDS)))
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise Unanswered(
                f"No answer from {topic} to {method} within {CALL_SECONDS:.0f} s.", request.uuid
            ) from None
        except concurrent.futures.CancelledError:
            raise nobody(topic) from None

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        topic, _ = split(address)
        self._server(topic).submit(
            method, json.dumps(arguments), Request(new_uuid(), trace=trace.request())
        )

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        server = _LocalServer(endpoint, self._threads, topic)
        with self._lock:
            self._served[topic] = server
        return server

    def trouble(self) -> str:
        return ""

    def close(self) -> None:
        with self._lock:
            for server in self._served.values():
                server.stop()
            self._served.clear()

    def _until(self) -> datetime.datetime | None:
        if self._clock is None:
            return None
        return self._clock.now() + datetime.timedelta(seconds=BEGIN_SECONDS)

    def _server(self, topic: str) -> _LocalServer:
        server = self._served.get(topic)
        if server is None or server.stopped:
            raise nobody(topic)
        return server


class _LocalServer:
    def __init__(self, endpoint: object, threads: int, topic: str) -> None:
        self.stopped = False
        self._topic = topic
        self._endpoint = endpoint
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, f"bus-{topic}")

    def submit(
        self, method: str, arguments: str, request: Request
    ) -> concurrent.futures.Future[str]:
        try:
            return self._pool.submit(self._run, method, arguments, request)
        except RuntimeError:
            raise nobody(self._topic) from None

    def _run(self, method: str, arguments: str, request: Request) -> str:
        return json.dumps(answer(self._endpoint, method, json.loads(arguments), request))

    def stop(self) -> None:
        self.stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)


def nobody(topic: str) -> errors.Unavailable:
    """The error for a topic that nobody serves."""
    return errors.Unavailable(f"No {topic} is running here to take this; try again in a moment.")
