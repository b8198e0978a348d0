"""Notifications for other services: what was begun, done, or went wrong, after it was.

Off unless a level and a driver are configured, and then nobody pays more than a look at a
variable. Sending is a thread's affair: no request waits for a bus, none fails because
of one; what cannot be sent is dropped and counted. What is said is in ``payloads.py``.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from oslo_config import cfg

from drophammer import trace
from drophammer.errors import Invalid
from drophammer.metrics import DROPPED_NOTIFICATIONS

LOG = logging.getLogger(__name__)
LEVELS = ("debug", "info", "warning", "error", "critical")
START, END, ERROR, SUCCESS = "start", "end", "error", "success"
ROOM = 5000
STOP_SECONDS = 1.0
# Tries for one; the next one is waiting.
RETRIES = 2
GROUP = "oslo_messaging_notifications"
# Where consumers of bare metal notifications listen, unless [DEFAULT] control_exchange is set.
EXCHANGE = "ironic"


@dataclass(frozen=True)
class Notification:
    """One, ready to be sent."""

    publisher: str
    event_type: str
    level: str
    payload: dict[str, Any]
    request_id: str


class Outlet(Protocol):
    """Whatever sends them, however long it takes. May raise anything."""

    def __call__(self, notification: Notification) -> None: ...


class Notifier:
    """One thread that sends what ``emit`` puts into its queue."""

    def __init__(self, send: Outlet, host: str, level: str, *, room: int = ROOM) -> None:
        self._send = send
        self._host = host
        self._least = LEVELS.index(level)
        self._queue: queue.Queue[Notification | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        # So that a bus that is away is told of once.
        self._failing = False

    def start(self) -> None:
        """Take notifications, of this whole process, from now on."""
        global _current
        self._thread.start()
        _current = self

    def stop(self) -> None:
        """Take no more; send what waits, for a moment."""
        global _current
        if _current is self:
            _current = None
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(STOP_SECONDS)

    def take(self, role: str, event_type: str, level: str, payload: dict[str, Any]) -> None:
        """Have it sent, or drop it."""
        if LEVELS.index(level) < self._least:
            return
        publisher = f"ironic-{role}.{self._host}"
        made = Notification(publisher, event_type, level, payload, trace.request())
        try:
            self._queue.put_nowait(made)
        except queue.Full:
            DROPPED_NOTIFICATIONS.inc()

    def _run(self) -> None:
        while (notification := self._queue.get()) is not None:
            try:
                self._send(notification)
                self._failing = False
            except Exception as error:
                DROPPED_NOTIFICATIONS.inc()
                if not self._failing:
                    LOG.warning("notifications cannot be sent: %s", error)
                self._failing = True


_current: Notifier | None = None


def on() -> bool:
    """Whether anybody is to be told of anything: what goes into a payload may be costly."""
    return _current is not None


def emit(role: str, what: str, status: str, payload: Callable[[], dict[str, Any]]) -> None:
    """Tell of ``what`` ("node.power_set"): ``status`` is start, end, success or error.

    ``role`` is api or conductor. Never raises: what it tells of has been done.
    """
    notifier = _current
    if notifier is None:
        return
    level = "error" if status == ERROR else "info"
    try:
        notifier.take(role, f"baremetal.{what}.{status}", level, payload())
    except Exception:
        DROPPED_NOTIFICATIONS.inc()
        LOG.exception("a notification of %s could not be made", what)


def notifier(conf: cfg.ConfigOpts, messaging: cfg.ConfigOpts) -> Notifier | None:
    """What the configuration asks for; None when it asks for none.

    ``messaging`` is for oslo.messaging's own options, and not what the bus has: the bus has
    defaults of its own there, and a broker refuses a consumer whose queues are declared with
    others. Raises Invalid.
    """
    if not conf.notification_level:
        return None
    # Imported here: it costs the embedded mode half a second and 30 MB.
    from drophammer.bus_threads import opts, oslo_messaging

    oslo_messaging.set_transport_defaults(EXCHANGE)
    messaging.register_opts(dict(opts.list_opts())[GROUP], group=GROUP)
    if not messaging[GROUP].driver:
        return None
    url = messaging[GROUP].transport_url or _own_url(conf, messaging[GROUP].driver)
    transport = oslo_messaging.get_notification_transport(messaging, url)
    sender = oslo_messaging.Notifier(
        transport, topics=conf.versioned_notifications_topics, retry=RETRIES
    )

    def send(notification: Notification) -> None:
        prepared = sender.prepare(publisher_id=notification.publisher)
        context = {"request_id": notification.request_id}
        getattr(prepared, notification.level)(
            context, notification.event_type, notification.payload
        )

    return Notifier(send, conf.host, conf.notification_level)


def _own_url(conf: cfg.ConfigOpts, drivers: list[str]) -> str:
    """The roles' own bus; some URL where there is none and none is needed. Raises Invalid."""
    if not conf.transport_url.startswith("local:"):
        return str(conf.transport_url)
    if any(name.startswith("messaging") for name in drivers):
        raise Invalid(
            f"[{GROUP}] driver = {', '.join(drivers)} needs a message bus: set transport_url in "
            f"[{GROUP}], or in [DEFAULT]."
        )
    return "fake://"
