"""A conductor in a process of its own, for tests that stop, kill and wake it.

Arguments: database URL, host name. Reads one JSON line of settings and says ``{}`` when
it works; then each line is a call, ``{"method": ..., arguments}``, answered by
``{"error": null or text}``.
"""

from __future__ import annotations

import json
import logging
import sys

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer.bus import LocalBus
from drophammer.errors import DrophammerError
from drophammer.store import Store


class Netboot:
    """Machines boot what they are to boot: the test plays their part."""

    def prepare(self, node_id: int) -> None:
        pass


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    url, host = sys.argv[1:]
    settings = json.loads(sys.stdin.readline())
    store = Store(url, lease_seconds=settings.pop("lease_seconds"))
    bus = LocalBus()
    bus.serve("netboot", Netboot(), host)
    process = ConductorProcess(Settings(host=host, **settings), store, bus)
    process.start()
    print("{}", flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            bus.call("conductor", call.pop("method"), **call)
            print('{"error": null}', flush=True)
        except DrophammerError as error:
            print(json.dumps({"error": error.message}), flush=True)
    process.stop()


if __name__ == "__main__":
    main()
