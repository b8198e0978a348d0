"""What other roles may have this host do about one of its services, over the bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from drophammer.errors import Unavailable
from netboot.monitor.monitor import Monitor
from netboot.monitor.switches import Switches


class ServiceCalls:
    """``monitor`` gives who looks after the services, or raises Unavailable."""

    def __init__(self, hostname: str, monitor: Callable[[], Monitor], switches: Switches) -> None:
        self._hostname = hostname
        self._monitor = monitor
        self._switches = switches

    def restart_service(self, hostname: str, name: str) -> dict[str, Any]:
        """Stop and start it; how it is then.

        Raises NotFound, Conflict, Unsupported or Unavailable.
        """
        return asdict(self._ours(hostname).restart(name))

    def show_service_log(self, hostname: str, name: str) -> dict[str, Any]:
        """What of it is in the log. Raises NotFound."""
        return self._switches.show(self._ours(hostname).service(name))

    def switch_service_log(
        self, hostname: str, name: str, change: dict[str, Any]
    ) -> dict[str, Any]:
        """Change that, until this process ends. Raises NotFound or Unsupported."""
        service = self._ours(hostname).service(name)
        self._switches.check(service, change.get("requests"))
        if "level" in change:
            self._switches.set_level(service, change["level"])
        if "requests" in change:
            self._switches.set_requests(service, change["requests"])
        return self._switches.show(service)

    def _ours(self, hostname: str) -> Monitor:
        # A bus within one process takes no notice of whom a call is for.
        if hostname != self._hostname:
            raise Unavailable(
                f"The netboot of {hostname!r:.80} does not answer; this is {self._hostname}."
            )
        return self._monitor()
