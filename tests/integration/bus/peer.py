"""``peer.py URL TOPIC HOST NOTES``: a process that serves a topic, until SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from oslo_config import cfg

from drophammer.bus import connect


class Endpoint:
    """Notes what it is asked before it answers."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def note(self, what: str) -> str:
        with self._notes.open("a") as file:
            file.write(f"{what}\n")
        return what

    def nap(self, seconds: float) -> str:
        self.note(f"nap-{seconds}")
        time.sleep(seconds)
        return "rested"

    def die(self) -> None:
        self.note("die")
        os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, topic: str, host: str, notes: str) -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    cfg.CONF([], project="drophammer", default_config_files=[])
    bus = connect(url, cfg.CONF)
    served = bus.serve(topic, Endpoint(Path(notes)), host)
    print("up", flush=True)
    stop.wait()
    served.stop()
    bus.close()
    os._exit(0)


main(*sys.argv[1:])
