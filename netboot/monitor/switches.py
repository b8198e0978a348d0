"""What of a service is in the log, switched while it runs. Gone when the process ends.

Works on Python's loggers by the beginning of their names, so that a service is heard of in
detail while the others stay quiet.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from drophammer.errors import Unsupported
from netboot.monitor.service import Managed
from netboot.requestlog import RequestLog


@dataclass(frozen=True)
class LogState:
    """``level`` None: as configured. ``requests`` None: the service has no such log."""

    level: str | None
    requests: bool | None


class Switches:
    """The log of each service."""

    def __init__(self, requests: Mapping[str, RequestLog]) -> None:
        self._requests = requests

    def show(self, service: Managed) -> dict[str, object]:
        """How the switches stand."""
        found = logging.getLogger(service.loggers[0]).level if service.loggers else logging.NOTSET
        requests = self._requests.get(service.name)
        level = logging.getLevelName(found).lower() if found else None
        return asdict(LogState(level, None if requests is None else requests.on))

    def check(self, service: Managed, requests: bool | None) -> None:
        """Raise Unsupported when the service has no log of requests."""
        if requests is not None and service.name not in self._requests:
            raise Unsupported(
                f"{service.name} has no log of requests; {' and '.join(self._requests)} have."
            )

    def set_level(self, service: Managed, level: str | None) -> None:
        """Write what is of this level and above; None: what the configuration says."""
        number = logging.getLevelName(level.upper()) if level is not None else logging.NOTSET
        for name in _matching(service.loggers):
            logging.getLogger(name).setLevel(number)

    def set_requests(self, service: Managed, on: bool) -> None:
        """Begin or end to write a line per request."""
        self.check(service, on)
        self._requests[service.name].switch(on)


def _matching(prefixes: Sequence[str]) -> list[str]:
    """Loggers that there are, and those that the prefixes name themselves."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith(tuple(prefixes))]
    return sorted({*prefixes, *known})
