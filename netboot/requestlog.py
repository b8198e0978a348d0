"""A line in the log per request of a machine, for as long as somebody wants to see them.

Off until it is switched on. The events of nodes are written by ``observer.py``, whether or not
this is on.
"""

from __future__ import annotations

import logging

from drophammer.text import readable
from netboot.content import Observer, Request, without_key

_LONGEST = 300


class RequestLog:
    """An observer in front of another one."""

    def __init__(self, protocol: str, inner: Observer) -> None:
        self._inner = inner
        self._log = logging.getLogger(f"netboot.requests.{protocol}")

    @property
    def on(self) -> bool:
        """Whether requests are in the log. Not kept over a restart of this process."""
        return self._log.level == logging.INFO

    def switch(self, on: bool) -> None:
        """Begin, or end, to write them; whatever level the rest of the log has."""
        self._log.setLevel(logging.INFO if on else logging.NOTSET)

    def started(self, request: Request) -> None:
        self._inner.started(request)

    def finished(
        self, request: Request, sent: int, total: int, seconds: float, outcome: str
    ) -> None:
        self._inner.finished(request, sent, total, seconds, outcome)
        if self.on:
            self._log.info(
                "%s %s asked for %s: %d of %d bytes in %.3f s, %s",
                request.protocol,
                request.client,
                shown(request.path),
                sent,
                total,
                seconds,
                readable(without_key(outcome), _LONGEST),
            )


def shown(path: str) -> str:
    """A path as it may stand in a log."""
    return readable(without_key(path), _LONGEST)
