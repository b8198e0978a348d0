"""Runs our TFTP server over a folder, for the load generators: HOST PORT ROOT.

python tests/bench/tftp_server.py 127.0.0.1 6969 /srv/tftp
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
from pathlib import Path

from netboot.content import StaticFiles
from netboot.services.tftp import TftpServer
from netboot.services.tftp_options import Limits
from netboot.services.tftp_poll import PollLoop


async def serve(host: str, port: int, root: Path, max_blksize: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_DGRAM)
    door.bind((host, port))
    server = TftpServer(
        StaticFiles(root),
        sockets=[door],
        make_socket=socket.socket,
        limits=Limits(max_blksize=max_blksize),
    )
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
    parser.add_argument("--max-blksize", type=int, default=1468)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=PollLoop) as runner:
        runner.run(serve(options.host, options.port, options.root, options.max_blksize))


if __name__ == "__main__":
    main()
