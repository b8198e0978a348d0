"""A program outside of ours, as the three ways of running it show it: child, unit, not at all.

``child.py`` and ``systemd.py`` have the first two. Which one a host uses is said in
``[netboot] service_manager``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from drophammer.errors import Unsupported
from drophammer.netns import Namespace
from netboot.monitor.ports import Door, holder
from netboot.monitor.service import NOBODY, OFF, RUNNING, Actual


class Daemon(Protocol):
    """A program that can be started and stopped. Errors are domain errors."""

    @property
    def managed_by(self) -> str: ...

    @property
    def unit(self) -> str | None: ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever it begins or ends, as far as that is told."""

    def actual(self) -> Actual:
        """What it does. Never raises."""

    def start(self) -> None:
        """Have it run; does nothing when it does, or is about to be started again."""

    def stop(self) -> None:
        """Have it stop, and come back when it has."""

    def leave(self) -> None:
        """This process ends: take with it what cannot be without."""


class Elsewhere:
    """A program that nobody here starts or stops: whether its ports are taken is all that shows."""

    managed_by = NOBODY

    def __init__(self, name: str, doors: Sequence[Door], namespace: Namespace) -> None:
        self.unit = None
        self._name = name
        self._doors = doors
        self._namespace = namespace

    def watch(self, changed: Callable[[], None]) -> None:
        """Nobody tells when it changes."""

    def actual(self) -> Actual:
        for door in self._doors:
            found = holder(door, self._namespace)
            if found is not None:
                return Actual(RUNNING, f"{found} has {door}", found.pid)
        return Actual(OFF, f"nobody has {' or '.join(map(str, self._doors))}")

    def start(self) -> None:
        raise self._refusal()

    def stop(self) -> None:
        raise self._refusal()

    def leave(self) -> None:
        """It is none of our business."""

    def _refusal(self) -> Unsupported:
        return Unsupported(
            f"{self._name} is neither started nor stopped from here: [netboot] service_manager is "
            "none, or the configuration says that somebody else looks after it."
        )
