"""Runs our HTTP file server over a folder, for the load generators: HOST PORT ROOT.

python tests/bench/http_server.py 127.0.0.1 8080 /srv/images
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
from pathlib import Path

from netboot.content import StaticFiles
from netboot.services.http import HttpServer
from netboot.services.tftp_poll import PollLoop


async def serve(host: str, port: int, root: Path) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((host, port))
    server = HttpServer(StaticFiles(root), sockets=[door])
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    gc.freeze()  # as a service does after its start: what is loaded never becomes garbage
    await stopped.wait()
    await server.stop(grace=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("root", type=Path)
    options = parser.parse_args()
    # The loop that it has in the product, together with TFTP.
    with asyncio.Runner(loop_factory=PollLoop) as runner:
        runner.run(serve(options.host, options.port, options.root))


if __name__ == "__main__":
    main()
