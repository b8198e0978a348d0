"""What the monitor knows of one service, and how that is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from drophammer.services import Told
from netboot.monitor.service import OFF, STARTING, Actual, Expected, Managed

_UNSEEN, _NEVER = Actual(STARTING, "not looked at yet"), Actual(OFF)


@dataclass
class Record:
    """``told`` is what the last event said. ``lock`` is of who does something about the service;
    ``tending`` is the thread of the monitor that does, if there is one, and ``limit`` the moment
    (monotonic) until which a look waits for it.
    """

    service: Managed
    expected: Expected
    actual: Actual = _UNSEEN
    told: Actual = _NEVER
    failure: str = ""
    pause: float = 0.0
    due: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    tending: threading.Thread | None = None
    limit: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether somebody tends it at this moment."""
        return self.tending is not None and self.tending.is_alive()

    def data(self, hostname: str) -> dict[str, object]:
        """For an event."""
        return {
            "hostname": hostname,
            "service": self.service.name,
            "expected": self.expected.state,
            "actual": self.actual.state,
            "reason": self.failure or self.actual.reason,
            "pid": self.actual.pid,
        }

    def row(self) -> Told:
        """For the table."""
        service, have = self.service, self.actual
        parts = [f"pid {have.pid}" if have.pid else "", have.reason]
        if self.failure and self.failure not in have.reason:
            parts.append(self.failure)
        return Told(
            name=service.name,
            unit=service.unit,
            managed_by=service.managed_by,
            expected=self.expected.state,
            expected_reason=self.expected.reason,
            actual=have.state,
            reason="; ".join(part for part in parts if part),
        )
