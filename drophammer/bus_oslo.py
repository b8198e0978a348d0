"""The bus over oslo.messaging: RPC through RabbitMQ between processes and hosts.

oslo.service must be told to use threads before oslo.messaging is imported; left
alone it loads eventlet. Nothing here is monkey-patched.
"""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402

from drophammer import errors  # noqa: E402
from drophammer.bus import CALL_SECONDS, Served, answer, result_of  # noqa: E402

VERSION = "1.0"


class OsloBus:
    """Roles in many processes, over oslo.messaging's RPC with threads (no green ones)."""

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        self._transport = oslo_messaging.get_rpc_transport(conf, url)
        self._clients: dict[str, Any] = {}

    def call(self, topic: str, method: str, /, **arguments: Any) -> Any:
        try:
            return result_of(self._client(topic).call({}, "run", name=method, arguments=arguments))
        except oslo_messaging.MessagingTimeout:
            raise errors.DeadlineExceeded(
                f"No answer from {topic} to {method} within {CALL_SECONDS:.0f} s; is one running?"
            ) from None
        except oslo_messaging.MessageDeliveryFailure as error:
            raise errors.Unavailable(f"The message bus did not take {method}: {error}") from error

    def cast(self, topic: str, method: str, /, **arguments: Any) -> None:
        try:
            self._client(topic).cast({}, "run", name=method, arguments=arguments)
        except oslo_messaging.MessageDeliveryFailure as error:
            raise errors.Unavailable(f"The message bus did not take {method}: {error}") from error

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        server = oslo_messaging.get_rpc_server(
            self._transport,
            oslo_messaging.Target(topic=_queue(topic), server=host, version=VERSION),
            [_OsloEndpoint(endpoint)],
            executor="threading",
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        server.start()
        return _OsloServer(server)

    def close(self) -> None:
        self._transport.cleanup()

    def _client(self, topic: str) -> Any:
        if topic not in self._clients:
            target = oslo_messaging.Target(topic=_queue(topic), version=VERSION)
            self._clients[topic] = oslo_messaging.get_rpc_client(
                self._transport, target, timeout=CALL_SECONDS
            )
        return self._clients[topic]


class _OsloEndpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, endpoint: object) -> None:
        self._endpoint = endpoint

    def run(self, context: object, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return answer(self._endpoint, name, arguments)


class _OsloServer:
    def __init__(self, server: Any) -> None:
        self._server = server

    def stop(self) -> None:
        self._server.stop()
        self._server.wait()


def _queue(topic: str) -> str:
    return f"drophammer.{topic}"
