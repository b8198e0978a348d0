"""What the roles of one process share, and the list of what was started in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from oslo_config import cfg

from drophammer.bus import Bus, Served
from drophammer.health import Health
from drophammer.store import Store


class Role(Protocol):
    """Something that runs until it is stopped."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Listening:
    """One line of the table that is printed at start."""

    service: str
    address: str
    state: str


@dataclass
class Place:
    """Store, bus and health of a process; ``started`` is what is to be stopped, last first."""

    conf: cfg.ConfigOpts
    store: Store
    bus: Bus
    health: Health
    started: list[Role | Served] = field(default_factory=list)
    listening: list[Listening] = field(default_factory=list)
    reloads: list[Callable[[cfg.ConfigOpts], None]] = field(default_factory=list)
    """What takes over a configuration while it runs. Raises Invalid, and nothing is changed."""

    def run(self, role: Role) -> None:
        """Start it, and stop it with the others."""
        role.start()
        self.started.append(role)

    def say(self, service: str, address: str, state: str) -> None:
        """A line of the table."""
        self.listening.append(Listening(service, address, state))
