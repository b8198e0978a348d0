"""Which conductors a request goes to, and what became of one that nobody answered.

A node is the affair of the conductors of its group that have its driver; any of them will
do. What they do is not known here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drophammer import nodes, operations
from drophammer.bus import Bus, Unanswered
from drophammer.conductors import topic
from drophammer.hardware import Hardware, Snapshot
from drophammer.store import Store

Place = tuple[str, str]
PLACE = frozenset({"driver", "conductor_group"})


@dataclass(frozen=True)
class Reach:
    """The way to the conductors. ``place`` is the driver and group of the node, if known."""

    store: Store
    bus: Bus
    hardware: Hardware

    def call(self, method: str, arguments: Mapping[str, Any], place: Place | None) -> Any:
        """Have a conductor do something and wait for its answer."""
        address = self._address(arguments, place)
        try:
            return self.bus.call(address, method, **arguments)
        except Unanswered as error:
            if not self._begun(arguments.get("node_id"), error.request):
                raise
        return None  # What begins an operation has no other answer.

    def tell(self, method: str, arguments: Mapping[str, Any], place: Place | None) -> None:
        """Nudge a conductor."""
        self.bus.cast(self._address(arguments, place), method, **arguments)

    def _address(self, arguments: Mapping[str, Any], place: Place | None) -> str:
        snapshot = self.hardware.snapshot()
        if "driver" in arguments:
            return of_driver(snapshot, arguments["driver"])
        if "node_id" not in arguments:
            return topic("")
        if place is None:
            with self.store.read() as session:
                row = nodes.by_id(session, arguments["node_id"], PLACE)
            if row is None:
                raise nodes.not_found(str(arguments["node_id"]))
            place = (row["driver"], row["conductor_group"])
        return of_node(snapshot, *place)

    def _begun(self, node_id: int | None, request: str) -> bool:
        """Whether the operation of a request is there. If it is not, it will never be.

        Whoever still writes it has the node's row; it is waited for. Whoever comes to that
        later finds that it is too late.
        """
        if node_id is None:
            return False
        with self.store.write() as session:
            nodes.by_id(session, node_id, (), lock=True)
            return operations.exists(session, request)


def of_node(snapshot: Snapshot, driver: str, group: str) -> str:
    """The bus address of the conductors for a node: all of its group, as long as all will do."""
    members = [(host, types) for host, theirs, types in snapshot.conductors if theirs == group]
    having = [host for host, types in members if driver in types]
    if not having or len(having) == len(members):
        return topic(group)
    return f"{topic(group)}@{random.choice(having)}"


def of_driver(snapshot: Snapshot, driver: str) -> str:
    """The bus address of a conductor that has a driver, in any group."""
    groups = [group for _, group, types in snapshot.conductors if driver in types]
    return of_node(snapshot, driver, random.choice(groups) if groups else "")
