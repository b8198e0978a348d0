"""What a machine is told when it gets nothing, and what is written of it: not the same, and not
without end.

Whoever asks may be a stranger, and may ask a thousand times a second. He learns nothing of how
this host is configured, and fills no log.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drophammer.errors import DrophammerError
from netboot.content import Request, without_key

PERIOD_SECONDS = 60.0
LINES, LINES_OF_CLIENT = 200, 40
"""In a period. A loader that looks for its configuration is refused some ten names."""

_OPTION = re.compile(r"\[[a-z][a-z0-9:_-]*\]")
_NOT_SET_UP = "This server is not set up to answer this; its log says why."
_BROKEN = "The server could not prepare this file; its log says why. Try again later."


@dataclass(frozen=True)
class Refusal:
    """``told`` is for the machine; ``why``, with what an operator could do, for log and events."""

    told: str
    why: str


def to_stranger(message: str) -> str:
    """A message without the options that it names: what there is to do is the operator's."""
    if not _OPTION.search(message):
        return message
    what, _, _ = message.partition(";")
    return _NOT_SET_UP if _OPTION.search(what) else f"{what}."


class Refusals:
    """Those of one server. ``log`` is its own, so that its level counts."""

    def __init__(
        self, protocol: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._protocol = protocol
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._written: Counter[str] = Counter()
        self._left_out = 0

    def of(self, error: Exception, request: Request) -> Refusal:
        """What is said of a request that failed. What is the server's fault is written here.

        Errors below status 500 speak for themselves; of the others, and of what no source should
        raise, the machine learns only that the server has a problem.
        """
        if isinstance(error, DrophammerError) and error.status < 500:
            return Refusal(to_stranger(error.message), without_key(error.message))
        path, client = without_key(request.path), request.client
        if isinstance(error, DrophammerError):
            text = "%r for %s failed: %s"
            self._write(logging.WARNING, client, text, path, client, error.message)
        else:
            text = "%r for %s failed"
            self._write(logging.ERROR, client, text, path, client, exc_info=error)
        return Refusal(_BROKEN, _BROKEN)

    def refused(self, request: Request, why: str) -> None:
        """Write that a request was refused."""
        path, client = without_key(request.path), request.client
        self._write(logging.INFO, client, "refused %r to %s: %s", path, client, why)

    def unread(self, client: str, why: str) -> None:
        """Write that something was refused that is no request for a file."""
        self._write(logging.INFO, client, "refused %s: %s", client, why)

    def _write(self, level: int, client: str, text: str, *values: Any, **more: Any) -> None:
        if self._log.isEnabledFor(level) and self._may_be_written(client):
            self._log.log(level, f"{self._protocol} {text}", *values, **more)

    def _may_be_written(self, client: str) -> bool:
        with self._lock:
            now = self._clock()
            if now >= self._until:
                self._tell_of_the_rest()
                self._until, self._left_out = now + PERIOD_SECONDS, 0
                self._written.clear()
            if self._written[client] < LINES_OF_CLIENT and self._written.total() < LINES:
                self._written[client] += 1
                return True
            self._left_out += 1
            if self._left_out == 1:
                self._log.warning(
                    "%s refuses more than is written here: %d lines a minute, %d for each machine",
                    *(self._protocol, LINES, LINES_OF_CLIENT),
                )
            return False

    def _tell_of_the_rest(self) -> None:
        if self._left_out:
            self._log.warning("%s refused %d more requests", self._protocol, self._left_out)
