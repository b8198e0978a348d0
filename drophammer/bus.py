"""Calls between roles: oslo.messaging, or in process, chosen by the transport URL.

Both go through the same JSON round trip and return the same errors, so that what
works in one process works between hosts. An endpoint is an object whose public
methods take keyword arguments of JSON types and return JSON.

``local://`` exists because oslo.messaging's in-memory driver sleeps 50 ms between
polls: an idle call costs 50 ms there and about 0.1 ms here.
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from oslo_config import cfg

from drophammer import errors

LOG = logging.getLogger(__name__)
CALL_SECONDS = 60.0


class Served(Protocol):
    """An endpoint that takes calls until it is stopped."""

    def stop(self) -> None: ...


class Bus(Protocol):
    """How one role reaches another. ``topic`` is the role's name, e.g. "conductor"."""

    def call(self, topic: str, method: str, /, **arguments: Any) -> Any:
        """Run ``method`` on one server of ``topic`` and return its result, or raise its error.

        Raises Unavailable when nobody serves the topic, DeadlineExceeded when no
        answer comes within a minute.
        """

    def cast(self, topic: str, method: str, /, **arguments: Any) -> None:
        """Have ``method`` run on one server of ``topic``; its result and errors are dropped."""

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        """Let ``endpoint`` answer for ``topic``."""

    def close(self) -> None:
        """Let go of connections and threads."""


def connect(url: str, conf: cfg.ConfigOpts) -> Bus:
    """The bus that ``url`` names: ``local://``, or any oslo.messaging transport URL.

    ``conf`` is for oslo.messaging's own options and must not hold ours: it declares
    some of the same names.
    """
    if url.startswith("local:"):
        return LocalBus()
    # Imported here: it costs the embedded mode half a second and 30 MB for nothing.
    from drophammer.bus_oslo import OsloBus

    return OsloBus(conf, url)


def answer(endpoint: object, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a method of an endpoint; the result or the error as plain JSON."""
    function: Callable[..., Any] | None = getattr(endpoint, method, None)
    if method.startswith("_") or function is None:
        return {"error": "Unsupported", "message": f"The bus method {method!r} does not exist."}
    try:
        return {"result": function(**arguments)}
    except errors.DrophammerError as error:
        return {"error": type(error).__name__, "message": error.message}
    except Exception:
        LOG.exception("bus method %s failed unexpectedly", method)
        return {
            "error": "DrophammerError",
            "message": f"The service failed unexpectedly in {method}; its log has the details.",
        }


def result_of(told: dict[str, Any]) -> Any:
    """The result that an endpoint's answer holds, or its error, raised."""
    if "error" in told:
        raise errors.by_name().get(told["error"], errors.DrophammerError)(told["message"])
    return told["result"]


class LocalBus:
    """Roles in one process: a few threads per topic, JSON in and out."""

    def __init__(self, threads: int = 32) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._served: dict[str, _LocalServer] = {}

    def call(self, topic: str, method: str, /, **arguments: Any) -> Any:
        future = self._server(topic).submit(method, json.dumps(arguments))
        try:
            return result_of(json.loads(future.result(timeout=CALL_SECONDS)))
        except concurrent.futures.TimeoutError:
            raise errors.DeadlineExceeded(
                f"No answer from {topic} to {method} within {CALL_SECONDS:.0f} s."
            ) from None
        except concurrent.futures.CancelledError:
            raise nobody(topic) from None

    def cast(self, topic: str, method: str, /, **arguments: Any) -> None:
        self._server(topic).submit(method, json.dumps(arguments))

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        server = _LocalServer(endpoint, self._threads, topic)
        with self._lock:
            self._served[topic] = server
        return server

    def close(self) -> None:
        with self._lock:
            for server in self._served.values():
                server.stop()
            self._served.clear()

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

    def submit(self, method: str, arguments: str) -> concurrent.futures.Future[str]:
        try:
            return self._pool.submit(self._run, method, arguments)
        except RuntimeError:
            raise nobody(self._topic) from None

    def _run(self, method: str, arguments: str) -> str:
        return json.dumps(answer(self._endpoint, method, json.loads(arguments)))

    def stop(self) -> None:
        self.stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)


def nobody(topic: str) -> errors.Unavailable:
    """The error for a topic that nobody serves."""
    return errors.Unavailable(f"No {topic} is running here to take this; try again in a moment.")
