"""A service that this host could have, and has been told nothing about."""

from __future__ import annotations

from collections.abc import Callable

from netboot.monitor.service import CHILD, OFF, Actual, Expected


class Unconfigured:
    """A ``Managed`` that is off until there is a configuration for it."""

    unit = None
    managed_by = CHILD
    loggers = ()

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def watch(self, changed: Callable[[], None]) -> None:
        """It does not change."""

    def expected(self) -> Expected:
        return Expected(OFF, self._reason)

    def actual(self) -> Actual:
        return Actual(OFF)

    def ensure(self) -> None:
        """It is as it should be."""

    def restart(self) -> None:
        """There is nothing to be restarted: the monitor refuses before it comes to this."""

    def stop(self) -> None:
        """It does not run."""
