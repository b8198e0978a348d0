"""What the running conductors can drive, all of them together, and the defaults for a node.

Also the queries on conductors for people. Which conductor works on what is not
decided here.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer import conductors, pages
from drophammer.errors import Invalid, NotFound
from drophammer.model import INTERFACES, Conductor
from drophammer.pages import Page
from drophammer.store import Store

SECONDS_KEPT = 5.0


@dataclass(frozen=True)
class HardwareType:
    """A driver that some conductor has: where it runs and what a node may choose.

    ``enabled`` is the interface names per kind in order of preference, ``defaults``
    the one taken when the operator names none, ``properties`` the driver_info keys
    with their descriptions.
    """

    name: str
    hosts: tuple[str, ...]
    enabled: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, str | None]
    properties: Mapping[str, str]

    def choose(self, kind: str, given: str | None) -> str | None:
        """The ``kind`` interface of a node. None: this hardware type has no such kind.

        Raises Invalid when ``given`` or the default is not enabled.
        """
        names = self.enabled.get(kind, ())
        wanted = given or self.defaults.get(kind)
        if wanted is None and kind in self.enabled:
            raise Invalid(f"The driver '{self.name}' has no valid default {kind} interface.")
        if wanted is not None and wanted not in names:
            raise Invalid(
                f"The {kind} interface '{wanted}' is not enabled for the driver '{self.name}'; "
                f"enabled: {', '.join(names) or 'none'}."
            )
        return wanted


@dataclass(frozen=True)
class Snapshot:
    """The running conductors at one moment, as (host, group, hardware types)."""

    conductors: tuple[tuple[str, str, Mapping[str, Any]], ...]
    # What was worked out before: the same is asked for by nearly every request.
    _united: dict[tuple[str, str | None], HardwareType] = field(
        default_factory=dict, compare=False, repr=False
    )
    _first: dict[tuple[str, str], str | None] = field(
        default_factory=dict, compare=False, repr=False
    )

    def types(self) -> dict[str, HardwareType]:
        """All hardware types by name, united over the conductors."""
        names = sorted({name for _, _, types in self.conductors for name in types})
        return {name: self._unite(name) for name in names}

    def type(self, name: str, group: str | None = None) -> HardwareType | None:
        """One hardware type, of the conductors in ``group`` if that is given."""
        known = self._united.get((name, group))
        if known is None and self._having(name, group):
            known = self._united[name, group] = self._unite(name, group)
        return known

    def conductor_of(self, driver: str, group: str) -> str | None:
        """Host name of the first running conductor for such nodes, or None."""
        kind = (driver, group)
        if kind not in self._first:
            self._first[kind] = next((host for host, _ in self._having(driver, group)), None)
        return self._first[kind]

    def served_by(self, host: str) -> list[tuple[str, str]]:
        """(group, driver) of the nodes whose ``conductor`` reads ``host``."""
        served = {
            (group, driver): None
            for name, group, types in self.conductors
            if name == host
            for driver in types
            if self.conductor_of(driver, group) == host
        }
        return list(served)

    def _having(self, name: str, group: str | None) -> list[tuple[str, Mapping[str, Any]]]:
        return [
            (host, types[name])
            for host, their_group, types in self.conductors
            if name in types and group in (None, their_group)
        ]

    def _unite(self, name: str, group: str | None = None) -> HardwareType:
        having = self._having(name, group)
        enabled: dict[str, tuple[str, ...]] = {}
        defaults: dict[str, str | None] = {}
        properties: dict[str, str] = {}
        for _, told in having:
            for kind, interfaces in _kinds(told):
                names = enabled.get(kind, ()) + tuple(interfaces.get("enabled", ()))
                enabled[kind] = tuple(dict.fromkeys(names))
                defaults.setdefault(kind, interfaces.get("default"))
            properties.update(told.get("properties", {}))
        hosts = tuple(dict.fromkeys(host for host, _ in having))
        return HardwareType(name, hosts, enabled, defaults, properties)


class Hardware:
    """The latest snapshot, read anew when it is some seconds old. Safe between threads."""

    def __init__(
        self, store: Store, *, alive_seconds: float, seconds_kept: float = SECONDS_KEPT
    ) -> None:
        self._store = store
        self._alive = datetime.timedelta(seconds=alive_seconds)
        self._seconds_kept = seconds_kept
        self._lock = threading.Lock()
        self._snapshot = Snapshot(())
        self._read_at = -float("inf")

    def snapshot(self, *, fresh: bool = False) -> Snapshot:
        """Who runs now: at most some seconds old, or ``fresh``. One statement when stale."""
        with self._lock:
            if fresh or time.monotonic() - self._read_at > self._seconds_kept:
                self._snapshot = self._read()
                self._read_at = time.monotonic()
            return self._snapshot

    def driver(self, name: str, group: str) -> HardwareType:
        """The hardware type for a node. Raises Invalid when no conductor for it is running.

        Looks twice, because a conductor that has just started must not be overlooked.
        """
        found = self.snapshot().type(name, group) or self.snapshot(fresh=True).type(name, group)
        if found is None:
            where = f" in the conductor group '{group}'" if group else ""
            raise Invalid(f"No valid host: no running conductor has the driver '{name}'{where}.")
        return found

    def alive_since(self) -> datetime.datetime:
        """A conductor that beat after this moment counts as alive."""
        return self._store.clock.now() - self._alive

    def _read(self) -> Snapshot:
        with self._store.read() as session:
            rows = conductors.alive(session, self.alive_since())
        return Snapshot(
            tuple((row.hostname, row.conductor_group, row.hardware_types) for row in rows)
        )


def conductor_page(session: Session, page: Page) -> Sequence[Conductor]:
    """Some conductors, dead ones too, one per host name.

    Raises NotFound when the marker names none.
    """
    columns = Conductor.__table__.columns
    key, row_id = columns[page.sort_key], columns["id"]
    after = None
    if page.marker is not None:
        place = session.execute(
            select(key, row_id).where(Conductor.hostname == page.marker, conductors.latest())
        ).one_or_none()
        if place is None:
            raise _no_conductor(page.marker)
        after = (place[0], place[1])
    query = select(Conductor).where(conductors.latest())
    return pages.read(lambda part: session.scalars(part).all(), query, page, key, row_id, after)


def conductor_by_host(session: Session, host: str) -> Conductor:
    """One conductor. Raises NotFound."""
    query = select(Conductor).where(Conductor.hostname == host, conductors.latest())
    row = session.scalars(query).one_or_none()
    if row is None:
        raise _no_conductor(host)
    return row


def _no_conductor(host: str) -> NotFound:
    return NotFound(f"Conductor {host} could not be found.")


def _kinds(told: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    interfaces = told.get("interfaces", {})
    return ((kind, interfaces[kind]) for kind in INTERFACES if kind in interfaces)
