"""The bus for tests: in process, or with ``DROPHAMMER_TEST_BUS``, a broker's URL, over it.

Processes that run tests at once have virtual hosts of their own there; the queues of a test
go away with its bus. The threads of oslo.messaging see that they are to stop when they next
look, a second later: tests make thousands of them, so here they look all the time.
"""

from __future__ import annotations

import os

from oslo_config import cfg

from drophammer.bus import Bus, LocalBus, connect
from drophammer.store import Store

BROKER = os.environ.get("DROPHAMMER_TEST_BUS", "")
# How often listeners look within the time-out of two heartbeats, and for how long workers do not.
LOOKS, IDLE_SECONDS = 400, 0.02


def bus(store: Store | None = None, *, threads: int = 32) -> Bus:
    """A bus that nobody else has. ``threads`` are those of one in process."""
    if not BROKER:
        return LocalBus(threads)
    # The library registers options of its own there, whatever it is given.
    cfg.CONF([], project="drophammer", default_config_files=[])
    part = os.environ.get("PYTEST_XDIST_WORKER", "")
    clock = None if store is None else store.clock
    made = connect(BROKER + part, cfg.CONF, clock=clock, signing_key="k" * 32)
    # The first bus loads all this, without what it must not load, and none has connected yet.
    from futurist._thread import ThreadWorker

    ThreadWorker.MAX_IDLE_FOR = IDLE_SECONDS
    cfg.CONF.set_override("heartbeat_rate", LOOKS, group="oslo_messaging_rabbit")
    return made
