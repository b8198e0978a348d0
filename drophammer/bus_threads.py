"""oslo.messaging as we need it: with threads, and giving back what it will not do.

It is told to use threads before it is loaded: left alone it loads eventlet. Whoever needs
it imports it from here. The standard library is not patched.
"""

from __future__ import annotations

import sys

# futurist, below oslo.messaging, loads eventlet wherever it is installed. Loaded, it warns at
# every fork of the process for as long as that lives, and takes 18 MB.
sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402
from oslo_messaging import opts  # noqa: E402
from oslo_messaging._drivers import amqpdriver  # noqa: E402

# After each message a listener looks for acknowledgements of other threads after 1 ms, then 2,
# 4 and so on. Calls have none; the looking is a sixth of a call's CPU.
amqpdriver.ACK_REQUEUE_EVERY_SECONDS_MIN = 0.5


class Listener(amqpdriver.RpcAMQPListener):  # type: ignore[misc]
    """Leaves with the broker what arrives while it stops.

    To close its connection it waits for answers of the broker, and calls may arrive among
    them. Its base would acknowledge those and do nothing more: the thread that hands them on
    has ended. Without the acknowledgement the broker gives them to another server.
    """

    def __call__(self, message: object) -> None:
        if not self._shutdown.is_set():
            super().__call__(message)


amqpdriver.RpcAMQPListener = Listener

__all__ = ["oslo_messaging", "opts"]
