"""HTTP from the provisioning network: urllib3 whose connections are made in a namespace.

Used for agents and image servers, which are reachable only from there. No
proxies, and a deadline for each exchange as a whole: a peer that sends a byte a
second would never meet a time-out that counts per packet.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from conductor import guard
from drophammer.netns import Namespace


@contextlib.contextmanager
def exchange(
    namespace: Namespace, seconds: float, *, context: ssl.SSLContext | None = None
) -> Iterator[Any]:
    """A urllib3 PoolManager for one question and its answer.

    It connects inside ``namespace``; TLS is checked by ``context``. After
    ``seconds`` its connections are cut, whatever they are doing. Nothing is sent once
    the lease that this thread works under has ended: LeaseLost then.
    """
    made: list[Any] = []
    watchdog = threading.Timer(seconds, lambda: _cut(made))
    watchdog.daemon = True
    watchdog.start()
    manager = _pool_manager(namespace, context, made)
    try:
        yield manager
    finally:
        watchdog.cancel()
        manager.clear()


def _cut(connections: list[Any]) -> None:
    for connection in connections:
        with contextlib.suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _pool_manager(namespace: Namespace, context: ssl.SSLContext | None, made: list[Any]) -> Any:
    def connect(connection: Any) -> Any:
        guard.seconds_left(0)
        address = (connection.host, connection.port)
        made.append(connection)
        try:
            return namespace.call(lambda: create_connection(address, connection.timeout))
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(connection, str(error)) from error

    class Plain(HTTPConnection):
        _new_conn = connect

        def send(self, data: Any) -> None:
            guard.seconds_left(0)
            super().send(data)

    class Encrypted(HTTPSConnection):
        _new_conn = connect

        def send(self, data: Any) -> None:
            guard.seconds_left(0)
            super().send(data)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager = urllib3.PoolManager(ssl_context=context, retries=False)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
    return manager
