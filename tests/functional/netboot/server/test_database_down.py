"""While the database is away: who is told what, how soon; and how much it is asked otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from drophammer.errors import NotFound
from drophammer.store import Store
from netboot.content import Request
from netboot.server import NetbootServer
from tests.patience import AT_ONCE

MAC = "52:54:00:22:00:01"
DASHED = MAC.replace(":", "-")
NAMES = [f"pxelinux.cfg/01-{DASHED}", f"grub/grub.cfg-{MAC}", f"ipxe/{DASHED}"]
TO_DISK = [b"LOCALBOOT -1\n", b"exit\n", b"exit 1\n"]

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


@pytest.fixture
def server(deployment: Any) -> NetbootServer:
    server: NetbootServer = deployment.server()
    server.start()
    return server


def break_database(deployment: Any) -> None:
    with deployment.store.write() as session:
        session.execute(text("ALTER TABLE boot_specs RENAME TO away"))


@pytest.mark.seed("s22")
@pytest.mark.usefixtures("patient_source")
def test_a_machine_that_was_told_to_boot_its_disk_is_told_so_again(
    deployment: Any, server: NetbootServer, tftp_get: Get, http_get: Get
) -> None:
    deployment.node(MAC)
    before = [tftp_get(server, name) for name in NAMES]
    break_database(deployment)
    begun = time.monotonic()
    assert [tftp_get(server, name) for name in NAMES] == before
    assert [end for (_, answer), end in zip(before, TO_DISK, strict=True) if answer.endswith(end)]
    assert http_get(server, f"boot.ipxe?mac={MAC}") == (200, before[2][1])
    assert time.monotonic() - begun < AT_ONCE


@pytest.mark.seed("s22")
@pytest.mark.usefixtures("patient_source")
def test_a_deployment_is_never_begun_from_memory(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    node_id = deployment.node(MAC)
    tftp_get(server, NAMES[0])
    deployment.boots(node_id, loader="pxe")
    assert b"LINUX boot/" in tftp_get(server, NAMES[0])[1]
    break_database(deployment)
    begun = time.monotonic()
    assert [tftp_get(server, name)[0] for name in NAMES] == [100, 100, 100]
    assert time.monotonic() - begun < AT_ONCE


@pytest.mark.seed("s22")
def test_what_the_conductor_writes_counts_at_once(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    node_id = deployment.node(MAC)
    for _ in range(3):
        assert b"LOCALBOOT" in tftp_get(server, NAMES[0])[1]
        deployment.boots(node_id, loader="pxe")
        assert b"LINUX boot/" in tftp_get(server, NAMES[0])[1]
        deployment.boots_nothing(node_id)


class Silent:
    """A database server that takes connections and never says a word."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self._thread.start()
        self.url = f"postgresql+psycopg://x:x@127.0.0.1:{self._door.getsockname()[1]}/x"

    def _take(self) -> None:
        while True:
            try:
                self._taken.append(self._door.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    silent = Silent()
    yield silent
    silent.close()


@pytest.mark.seed("s22")
def test_a_database_that_hangs_delays_nobody_for_long(
    deployment: Any,
    server: NetbootServer,
    silent: Silent,
    tftp_get: Get,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nor does the driver give up.
    monkeypatch.setattr("drophammer.engines.CONNECT_SECONDS", 120)
    deployment.node(MAC)
    answers = [tftp_get(server, name) for name in NAMES]
    # What a server that stands still is to this process: from one moment to the next.
    server._lookup._store = Store(silent.url)
    others = [
        threading.Thread(target=tftp_get, args=(server, f"ipxe/52-54-00-99-00-{number:02x}"))
        for number in range(12)
    ]
    for other in others:
        other.start()
    begun = time.monotonic()
    assert [tftp_get(server, name) for name in NAMES[:1]] == answers[:1]
    assert time.monotonic() - begun < AT_ONCE
    silent.close()
    for other in others:
        other.join()


@pytest.fixture
def statements(deployment: Any) -> Iterator[list[str]]:
    """The statements that the database is sent from now on."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        # What the monitor and the observer write down, they do in their own time.
        if (
            not statement.startswith(("BEGIN", "INSERT INTO events"))
            and "services" not in statement
        ):
            seen.append(statement)

    event.listen(deployment.store.engine, "before_cursor_execute", note)
    yield seen
    event.remove(deployment.store.engine, "before_cursor_execute", note)


def test_a_boot_file_takes_two_statements_at_most(
    deployment: Any, tftp_get: Get, statements: list[str]
) -> None:
    server = deployment.server(**{"enlist.enabled": True, "enlist.networks": ["127.0.0.0/8"]})
    server.start()
    spec = deployment.boots(deployment.node(MAC, boot_interface="pxe"), loader="pxe")
    other = "52:54:00:22:00:02"
    deployment.node(other)
    names = [
        *NAMES,
        f"pxelinux.cfg/01-{other.replace(':', '-')}",
        "pxelinux.cfg/01-52-54-00-99-99-99",
        "pxelinux.cfg/default",
        "pxelinux.cfg/7F000001",
        f"pxelinux.cfg/{spec.node_uuid}",
        f"boot/{spec.key}/kernel",
    ]
    for mac in ("52:54:00:99:99:99", MAC):
        deployment.lease("127.0.0.1", mac)
        for name in names:
            request = Request("tftp", name, "127.0.0.1", "127.0.0.1")
            del statements[:]
            with contextlib.suppress(NotFound):
                asyncio.run(server._source.open(request))
            assert 1 <= len(statements) <= 2, name
