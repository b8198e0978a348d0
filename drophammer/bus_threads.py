"""oslo.messaging, told to use threads before it is loaded: left alone it loads eventlet.

Whoever needs it imports it from here. The standard library is not patched.
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

__all__ = ["oslo_messaging", "opts"]
