"""oslo.messaging as we need it: with threads, and giving back what it will not do.

It is told to use threads before it is loaded: left alone it loads eventlet. Whoever needs
it imports it from here. The standard library is not patched.
"""

from __future__ import annotations

import sys
from typing import Any

# futurist, below oslo.messaging, loads eventlet wherever it is installed. Loaded, it warns at
# every fork of the process for as long as that lives, and takes 18 MB.
sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

import futurist  # noqa: E402
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


def take_while_reading(server: Any) -> None:
    """Let the thread that reads messages also take them: for what is done at once.

    To hand a message on to another thread costs as much CPU as to look into it.
    """
    server._executor_cls = lambda max_workers: futurist.SynchronousExecutor()


__all__ = ["opts", "oslo_messaging", "take_while_reading"]
