"""What the monitor asks of a service: what is it to do, what does it do, make it so.

A service is anything on a netboot host that machines need while they boot: a part of this
process, a program that we run, or a unit of systemd. Which of these it is shows in
``managed_by`` alone.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

ON: Final = "on"
OFF: Final = "off"
ANY: Final = "any"
RUNNING: Final = "running"
STARTING: Final = "starting"
DEAD: Final = "dead"
UNAVAILABLE: Final = "unavailable"

ExpectedState = Literal["on", "off", "any"]
ActualState = Literal["running", "starting", "off", "dead", "unavailable"]

# Who starts and stops a service.
PROCESS, CHILD, SYSTEMD, NOBODY = "process", "child", "systemd", "none"


@dataclass(frozen=True)
class Expected:
    """What a service should do. ``any``: it is somebody else's, and only looked at."""

    state: ExpectedState
    reason: str


@dataclass(frozen=True)
class Actual:
    """What it does. ``unavailable``: this host has no way of running it."""

    state: ActualState
    reason: str = ""
    pid: int | None = None


class Managed(Protocol):
    """One service. All methods but ``watch`` may take seconds, and never longer than half a minute.

    ``unit`` is its unit of systemd, if it has one. ``loggers`` are what the names of its loggers
    begin with, for whoever wants to hear more of it for a while.
    """

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str | None: ...

    @property
    def managed_by(self) -> str: ...

    @property
    def loggers(self) -> Sequence[str]: ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed``, from any thread, when ``actual`` may have become something else."""

    def expected(self) -> Expected:
        """What it should do, by the configuration."""

    def actual(self) -> Actual:
        """What it does now. Never raises."""

    def ensure(self) -> None:
        """Bring ``actual`` to ``expected``; does nothing when they agree.

        Raises a domain error with what stands in the way.
        """

    def restart(self) -> None:
        """Stop and start it. Raises a domain error when it does not run afterwards."""

    def stop(self) -> None:
        """End what lives and dies with this process; what systemd runs stays."""


class Restarted(ABC):
    """What is restarted by ``stop`` and ``ensure``, with nothing in between."""

    def __init__(self) -> None:
        self._changing = threading.RLock()

    def restart(self) -> None:
        with self._changing:
            self.stop()
            self.ensure()

    @abstractmethod
    def ensure(self) -> None:
        """As in ``Managed``."""

    @abstractmethod
    def stop(self) -> None:
        """As in ``Managed``."""
