"""Gathers what helps to understand a failure: kernel messages, our lines, the devices.

The kernel command line is included with its secrets masked.
"""

from __future__ import annotations

import os

from agent import cmdline, console
from agent.tarball import packed

_MAX_KERNEL_LOG = 1 << 20


def system_logs() -> str:
    """Base64 text of a tar.gz with the machine's logs."""
    files = {"agent.log": console.kept_lines().encode(), "dmesg": kernel_messages()}
    for path in ("/proc/partitions", "/proc/meminfo", "/proc/modules", "/proc/net/dev"):
        if os.path.exists(path):
            files[path.strip("/").replace("/", "_")] = _content(path)
    command_line = _content("/proc/cmdline").decode("utf-8", "replace")
    files["proc_cmdline"] = cmdline.masked(command_line).encode() + b"\n"
    return packed(files)


def kernel_messages() -> bytes:
    """The kernel's ring buffer with its priorities and times; what can be read of it."""
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kmsg: {error.strerror}\n".encode()
    lines, size = [], 0
    try:
        while size < _MAX_KERNEL_LOG:
            lines.append(_without_secrets(os.read(fd, 8192)))
            size += len(lines[-1])
    except OSError:
        # EAGAIN is the end of the buffer.
        pass
    finally:
        os.close(fd)
    return b"".join(lines)


def _without_secrets(record: bytes) -> bytes:
    # The kernel prints its whole command line, and the agent's token may be on it.
    if any(name.encode() in record for name in cmdline.SECRET_OPTIONS):
        return b"(a record with a secret option was left out)\n"
    return record


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1 << 20)
