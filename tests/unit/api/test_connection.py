"""One connection, without the threads that look after it: when a request is too slow."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from waitress.adjustments import Adjustments

from api.connection import Connection

OVER = -60.0  # Patience that ended a minute ago.
HALF, REST = b"GET / HTTP/1.1\r\nHost: h\r\n", b"\r\n"


class Server:
    """What a connection must know of its server; no thread of it does anything."""

    application: Any = None
    server_name = "h"
    effective_port = 80
    stopping = False

    def __init__(self) -> None:
        self.adj = Adjustments()
        self.active_channels: dict[int, Connection] = {}
        self.poll = select.epoll()

    def add_task(self, connection: Connection) -> None:
        """A request has been read."""

    def pull_trigger(self) -> None:
        """Something has been written."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    for connection in list(made.active_channels.values()):
        connection.handle_close()
    made.poll.close()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


@pytest.fixture
def connection(server: Server, client: socket.socket) -> Connection:
    """One whose client has sent half a request, which was read."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        client.connect(door.getsockname())
        ours, address = door.accept()
    made = Connection(server, ours, address)
    client.sendall(HALF)
    assert not made.take_turn(select.EPOLLIN)
    return made


def test_a_request_that_does_not_go_on_is_refused(connection, client) -> None:
    connection.look_after(OVER)
    assert client.recv(1000).startswith(b"HTTP/1.0 408 ")


def test_what_has_come_and_was_not_read_yet_is_not_the_clients_slowness(connection, client) -> None:
    client.sendall(REST)
    connection.look_after(OVER)
    assert connection.take_turn(select.EPOLLIN), "it was refused"
