"""HTTP from the provisioning network: urllib3 whose connections are made in a namespace.

Used for agents and image servers, which are reachable only from there. No
proxies, no redirects to other schemes, hard time-outs on everything.
"""

from __future__ import annotations

import ssl
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from drophammer.netns import Namespace


def pool_manager(namespace: Namespace, *, context: ssl.SSLContext | None = None) -> Any:
    """A urllib3 PoolManager that connects inside ``namespace``; TLS is checked by ``context``."""

    def connect(connection: Any) -> Any:
        address = (connection.host, connection.port)
        try:
            return namespace.call(lambda: create_connection(address, connection.timeout))
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(connection, str(error)) from error

    class Plain(HTTPConnection):
        _new_conn = connect

    class Encrypted(HTTPSConnection):
        _new_conn = connect

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager = urllib3.PoolManager(ssl_context=context, retries=False)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
    return manager
