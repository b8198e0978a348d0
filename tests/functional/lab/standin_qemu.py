"""A program that takes QEMU's place: same command line, same monitor, no machine.

Appends the device order of each boot to ``boots`` beside the disk. As QEMU with
-no-reboot it ends at a reset and says so before. Understands on its serial
port: ``reboot`` and ``poweroff`` (the guest's own deeds); every other line is
echoed.
"""

import json
import os
import re
import socket
import sys
import threading
from pathlib import Path

arguments = sys.argv[1:]
line = " ".join(arguments)
indexes = {
    device: int(index) for device, index in re.findall(r"id=(net0|disk0)\S*?bootindex=(\d+)", line)
}
directory = Path(re.search(r"file=(\S+)/disk\.raw", line)[1])
sockets = {
    name: socket.socket(fileno=int(fd))
    for name, fd in re.findall(r"id=(qmp|serial),fd=(\d+)", line)
}
lock = threading.Lock()


order = sorted(indexes, key=indexes.get)
with open(directory / "boots", "a") as boots:
    boots.write(json.dumps(order) + "\n")


def send(stream, message) -> None:
    with lock:
        stream.write(json.dumps(message).encode() + b"\n")
        stream.flush()


def shut_down(stream, reason) -> None:
    send(stream, {"event": "SHUTDOWN", "data": {"guest": True, "reason": reason}})
    os._exit(0)


def serial(monitor) -> None:
    while True:
        connection, _ = sockets["serial"].accept()
        with connection, connection.makefile("rwb", buffering=0) as port:
            for typed in port:
                if typed.strip() == b"reboot":
                    shut_down(monitor, "guest-reset")
                elif typed.strip() == b"poweroff":
                    shut_down(monitor, "guest-shutdown")
                port.write(b"typed: " + typed)


assert "-no-reboot" in arguments
monitor, _ = sockets["qmp"].accept()
with monitor, monitor.makefile("rwb") as stream:
    send(stream, {"QMP": {"version": {}, "capabilities": []}})
    threading.Thread(target=serial, args=(stream,), daemon=True).start()
    for request in stream:
        send(stream, {"return": {}})
        if json.loads(request)["execute"] == "system_powerdown":
            shut_down(stream, "guest-shutdown")
