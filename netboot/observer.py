"""Writes what machines fetched and asked into their events: how far did this boot get?

Servers hand over notes and go on at once; one thread finds out whose they are and
writes them in small batches. When it cannot keep up, notes are dropped and counted:
a machine never waits for the database.
"""

from __future__ import annotations

import datetime
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from drophammer import boots, events
from drophammer.clock import Clock
from drophammer.errors import Invalid
from drophammer.store import Store
from netboot import metrics, paths, stages
from netboot.content import COMPLETE, PROBED, UNCONFIRMED, Request
from netboot.dhcp.sightings import Sighting
from netboot.paths import Wanted
from netboot.services.dhcp_log import DhcpEvent

log = logging.getLogger(__name__)

ROOM = 5000
BATCH = 200
GATHER_SECONDS = 0.05
# What comes again within the first time is told again only after the second.
REPEAT_SECONDS = 2.0
REPEATED_AFTER_SECONDS = 60.0
REMEMBERED = 10_000
_DELIVERED = (COMPLETE, UNCONFIRMED)


@dataclass(frozen=True)
class Note:
    """One event before its node is known; found by key, MAC or the client's address."""

    at: datetime.datetime
    kind: str
    message: str
    data: dict[str, Any]
    key: str | None = field(default=None, repr=False)
    mac: str | None = None
    ip: str | None = None


class _Repeats:
    """Tells what is news from what a machine, or somebody in its name, asks over and over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str | None, ...], tuple[datetime.datetime, datetime.datetime]] = {}

    def again(self, what: tuple[str | None, ...], now: datetime.datetime) -> bool:
        """True when ``what`` was seen a moment ago, and told of not too long ago."""
        pause = datetime.timedelta(seconds=REPEAT_SECONDS)
        longest = datetime.timedelta(seconds=REPEATED_AFTER_SECONDS)
        with self._lock:
            told, seen = self._seen.get(what, (None, None))
            if told and seen and now - seen < pause and now - told < longest:
                self._seen[what] = (told, now)
                return True
            if len(self._seen) >= REMEMBERED:
                self._seen = {key: at for key, at in self._seen.items() if now - at[1] < pause}
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[what] = (now, now)
            return False


class Recorder:
    """The observer of both servers and of DHCP. ``mac_of`` tells whose lease an IP address is.

    ``is_loader`` tells the names of boot loaders.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        mac_of: Callable[[str], str | None],
        is_loader: Callable[[str], bool],
        room: int = ROOM,
    ) -> None:
        self.dropped = 0
        self._store = store
        self._clock = clock
        self._mac_of = mac_of
        self._is_loader = is_loader
        self._repeats = _Repeats()
        self._notes: queue.Queue[Note | None] = queue.Queue(room)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="boot-events", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, grace: float = 1.0) -> None:
        """Write what is there, for at most ``grace`` seconds, and end."""
        self._stopping.set()
        try:
            self._notes.put_nowait(None)
        except queue.Full:
            pass  # then the thread is awake anyway
        if self._thread.is_alive():
            self._thread.join(grace)
        if self.dropped:
            log.warning("%d boot events could not be written", self.dropped)

    # content.Observer

    def started(self, request: Request) -> None:
        """Note the beginning of large files, so that a stalled boot shows where it stands."""
        want = self._wanted(request)
        if want is not None and want.stage in paths.LARGE:
            data = _data(request, want, 0, 0, 0.0, "started")
            self._note(request, want, f"{want.stage}: sending to {request.client}", data)

    def finished(
        self, request: Request, sent: int, total: int, seconds: float, outcome: str
    ) -> None:
        """Note the end of a transfer of a file that is one of ours."""
        metrics.count(request.protocol, outcome)
        want = self._wanted(request)
        if want is not None and want.stage == paths.STAGE:
            self._stage(request, want, outcome)
            return
        # UEFI firmware asks for the size first and breaks off: no news for anybody. Nor is
        # what pxelinux is refused on its way through all names of a machine.
        refused = outcome not in _DELIVERED and want is not None and want.tried_in_turn
        if want is not None and outcome != PROBED and not refused:
            message = _transfer_text(want, sent, total, seconds, outcome)
            data = _data(request, want, sent, total, seconds, outcome)
            self._note(request, want, message, data)

    def _stage(self, request: Request, want: Wanted, outcome: str) -> None:
        """Note what a ramdisk told of itself, if the source took it."""
        if outcome != COMPLETE:
            return
        now, told = self._clock.now(), stages.report(request.query)
        if not self._repeats.again((want.key, paths.STAGE, told.stage, told.outcome), now):
            data = {"stage": told.stage, "outcome": told.outcome, "client": request.client}
            self._put(Note(now, "ramdisk", told.message(), data, want.key))

    def dhcp(self, event: DhcpEvent) -> None:
        """Note a DHCP message."""
        metrics.REQUESTS.labels("dhcp", event.type).inc()
        now = self._clock.now()
        # What else is in it anybody can make up, in the name of any card.
        program = "iPXE" if event.client.endswith("iPXE") else None
        asked = (event.mac, "dhcp", event.type, program)
        if not self._repeats.again(asked, now):
            data = {"mac": event.mac, "ip": event.ip, "type": event.type}
            self._put(Note(now, "dhcp", event.message(), data, mac=event.mac))

    def foreign(self, sighting: Sighting) -> None:
        """Note that a machine was answered by a DHCP server that is not ours, or chose it."""
        data = {
            "mac": sighting.client,
            "server": str(sighting.server),
            "server_mac": sighting.mac,
            "level": "warning",
        }
        message = f"warning: {sighting.sentence()}"
        self._put(Note(self._clock.now(), "dhcp", message, data, mac=sighting.client))

    def _wanted(self, request: Request) -> Wanted | None:
        if self._is_loader(request.path):
            return Wanted(paths.LOADER, request.path.lower())
        try:
            return paths.wanted(request.path, request.query) or paths.static(request.path)
        except Invalid:
            return None

    def _note(self, request: Request, want: Wanted, message: str, data: dict[str, Any]) -> None:
        now = self._clock.now()
        ip = _plain_ip(request.client)
        machine = want.key or want.mac or ip
        # Why it was refused or broke off may hold a name that the machine made up.
        outcome = str(data["outcome"]).partition(":")[0]
        made_up = want.stage in (paths.IMAGE, paths.FILE, paths.KERNEL, paths.RAMDISK)
        known = not made_up or want.key or outcome in ("started", *_DELIVERED)
        name = want.name.lower().replace(":", "-") if known else None
        if not self._repeats.again((machine, request.protocol, want.stage, name, outcome), now):
            self._put(Note(now, request.protocol, message, data, want.key, want.mac, ip))

    def _put(self, note: Note) -> None:
        try:
            self._notes.put_nowait(note)
        except queue.Full:
            self.dropped += 1

    # The thread

    def _work(self) -> None:
        while True:
            batch = self._next()
            if batch:
                self._write(batch)
            elif self._stopping.is_set():
                return

    def _next(self) -> list[Note]:
        """Wait for a note, and a little for more."""
        first = self._notes.get() if not self._stopping.is_set() else None
        if first is not None:
            # Not a sleep: stop() must not wait for it.
            self._stopping.wait(GATHER_SECONDS)
        batch = [first] if first is not None else []
        while len(batch) < BATCH:
            try:
                note = self._notes.get_nowait()
            except queue.Empty:
                break
            if note is not None:
                batch.append(note)
        return batch

    def _write(self, batch: list[Note]) -> None:
        try:
            with self._store.write() as session:
                for note in batch:
                    self._record(session, note)
        except IntegrityError:
            # A node was deleted at this moment; the notes of the others are still good.
            if len(batch) == 1:
                self.dropped += 1
                return
            for note in batch:
                self._write([note])
        except SQLAlchemyError as error:
            self.dropped += len(batch)
            log.warning("%d boot events not written: %s", len(batch), type(error).__name__)

    def _record(self, session: Session, note: Note) -> None:
        node_id = self._node_of(session, note)
        if node_id is None:
            return
        events.record(
            session,
            node_id=node_id,
            at=note.at,
            source="netboot",
            kind=note.kind,
            message=note.message,
            data=note.data,
        )

    def _node_of(self, session: Session, note: Note) -> int | None:
        if note.key is not None:
            found = boots.by_key(session, note.key)
            if found is not None:
                return found[0]
        mac = note.mac or (self._mac_of(note.ip) if note.ip else None)
        owner = boots.by_mac(session, mac) if mac is not None else None
        return owner[0] if owner is not None else None


def _data(
    request: Request, want: Wanted, sent: int, total: int, seconds: float, outcome: str
) -> dict[str, Any]:
    return {
        "stage": want.stage,
        "file": want.name,
        "bytes": sent,
        "total": total,
        "seconds": round(seconds, 3),
        "outcome": outcome,
        "client": request.client,
    }


def _transfer_text(want: Wanted, sent: int, total: int, seconds: float, outcome: str) -> str:
    what = want.stage if want.stage == want.name else f"{want.stage} {want.name}"
    if outcome == COMPLETE:
        return f"{what}: {_size(sent)} in {seconds:.1f} s"
    if outcome == UNCONFIRMED:
        return f"{what}: {_size(total)}, {outcome}"
    if total:
        return f"{what}: {_size(sent)} of {_size(total)}, then {outcome}"
    return f"{what}: {outcome}"


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count / 1e3:.0f} kB"


def _plain_ip(text: str) -> str:
    """An IPv4 address that came in through an IPv6 socket is still an IPv4 address."""
    return text.removeprefix("::ffff:")
