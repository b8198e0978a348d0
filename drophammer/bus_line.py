"""The wire that letters go out on: oslo.messaging's options as we need them, and sending.

Options that a configuration file sets stay as they are.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from oslo_config import cfg

from drophammer.bus_outbox import Parcel
from drophammer.bus_threads import opts, oslo_messaging
from drophammer.errors import Unavailable

EXCHANGE = "drophammer"
VERSION = "2.0"
QUIET_SECONDS = 30.0
_GROUP = "oslo_messaging_rabbit"
_DEFAULTS: dict[str, Any] = {
    # A queue that nobody reads goes away: then it is known at once that nobody is there, and
    # nothing piles up. What is in a queue need not outlive the broker.
    "amqp_auto_delete": True,
    # What a server that hangs has fetched, nobody else gets.
    "rabbit_qos_prefetch_count": 1,
    # After how long a broker that hangs counts as gone, and how often that is looked at, twice
    # per beat: no sooner does a server see that it is to stop.
    "heartbeat_timeout_threshold": 10,
    "heartbeat_rate": 10,
    # Try again every second, without a pause that grows: the broker's return is awaited.
    "rabbit_retry_interval": 1,
    "rabbit_retry_backoff": 0,
    "rabbit_interval_max": 1,
    "kombu_reconnect_delay": 0.0,
    "kombu_missing_consumer_retry_timeout": 1,
    "rabbit_transient_queues_ttl": 300,
    # The outbox is one sender.
    "conn_pool_min_size": 1,
}
_ASKING = oslo_messaging.TransportOptions(at_least_once=True)


class Line:
    """Sends parcels, one at a time. While the broker is away it waits for it."""

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        self._conf = conf
        self._url = url
        self._transport: Any = None
        self._clients: dict[tuple[str, str, bool], Any] = {}

    def send(self, parcel: Parcel) -> None:
        """Put it on the wire. Raises Unavailable when it is known not to arrive."""
        client = self._client(parcel)
        try:
            client.cast({}, "take", letter=parcel.text, signature=parcel.signature)
        except oslo_messaging.MessageUndeliverable:
            # The broker's receipt for what it gave back is still in the connection, where
            # it would be taken for the next letter's.
            self.close()
            raise nobody(parcel.topic, parcel.server) from None
        except oslo_messaging.MessagingException as error:
            self.close()
            raise Unavailable(
                f"The message bus did not take a message for {parcel.topic} ({error}); try again "
                "in a moment."
            ) from error

    def close(self) -> None:
        """Let go of the connection; the next letter makes another one."""
        self._clients.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.cleanup()

    def _client(self, parcel: Parcel) -> Any:
        if self._transport is None:
            self._transport = transport(self._conf, self._url)
        key = (parcel.topic, parcel.server, parcel.certain)
        if key not in self._clients:
            if len(self._clients) > 1000:  # Callers' own topics come and go.
                self._clients.clear()
            self._clients[key] = oslo_messaging.get_rpc_client(
                self._transport,
                target(parcel.topic, parcel.server),
                transport_options=_ASKING if parcel.certain else None,
            )
        return self._clients[key]


def transport(conf: cfg.ConfigOpts, url: str) -> Any:
    """A transport of oslo.messaging with our defaults. Connects to nobody yet."""
    for group, options in opts.list_opts():
        if group == _GROUP:
            conf.register_opts(options, group=group)
    for name, value in _DEFAULTS.items():
        conf.set_default(name, value, group=_GROUP)
    return oslo_messaging.get_rpc_transport(conf, url)


def target(topic: str, server: str = "") -> Any:
    """Where letters for a topic, or one server of it, go."""
    return oslo_messaging.Target(
        exchange=EXCHANGE, topic=f"drophammer.{topic}", server=server or None, version=VERSION
    )


def nobody(topic: str, server: str = "") -> Unavailable:
    """The error for a topic that nobody serves."""
    what, _, group = topic.partition(".")
    where = f" in the group '{group}'" if group else ""
    whom = f"{what} on {server}" if server else what
    return Unavailable(f"No {whom}{where} is running to take this; try again in a moment.")


class Seldom(logging.Filter):
    """Lets each kind of line pass once in a while: a broker that is away is told every second."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._passed: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes; it then says how many like it have not."""
        kind, now = str(record.msg)[:80], time.monotonic()
        with self._lock:
            last, held = self._passed.get(kind, (-QUIET_SECONDS, 0))
            if now - last < QUIET_SECONDS:
                self._passed[kind] = (last, held + 1)
                return False
            self._passed[kind] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} lines like it since the last one)"
        return True


_SELDOM = Seldom()
for _name in (
    "oslo.messaging._drivers.impl_rabbit",
    "oslo_messaging._drivers.impl_rabbit",
    "oslo.messaging._drivers.amqpdriver",
    "oslo_messaging._drivers.amqpdriver",
    "oslo.messaging._drivers.base",
    "oslo_messaging._drivers.base",
    "oslo.messaging.rpc.server",
    "oslo_messaging.rpc.server",
    "drophammer.bus_desk",
):
    logging.getLogger(_name).addFilter(_SELDOM)
# It warns of every message that comes while a connection is being closed.
logging.getLogger("amqp").setLevel(logging.ERROR)
