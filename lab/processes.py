"""Remembering processes across programs, and ending only those.

A process id alone may have been given to somebody else since; together with
the start time that the kernel keeps it names one process for good.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from lab import files


@dataclasses.dataclass(frozen=True)
class Process:
    """A process: its id and its start time in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return started_at(self.pid) == self.started

    def end(self, patience: float) -> bool:
        """SIGTERM, then SIGKILL after ``patience`` seconds. Returns whether it is gone.

        With a patience of 0 it is killed at once.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            # The id is pinned by the handle: what is checked is what is killed.
            if not self.alive:
                return True
            if patience > 0:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                if _ended(handle, patience):
                    return True
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            return _ended(handle, 10.0)
        except ProcessLookupError:
            return True
        finally:
            os.close(handle)


def record(path: Path, pid: int) -> None:
    """Write which process ``pid`` is to ``path``, atomically; nothing when it is gone."""
    started = started_at(pid)
    if started is None:
        return
    files.write_whole(path, json.dumps({"pid": pid, "started": started}) + "\n")


def recorded(path: Path) -> Process | None:
    """The process that ``record`` wrote, or None when there is no such file."""
    try:
        data = json.loads(path.read_text())
        return Process(int(data["pid"]), int(data["started"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        # A half-written file of a crash; its process is found by other means.
        return None


def descendants(pid: int) -> list[int]:
    """The ids of a process' children, their children and so on, as they are now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The second field is a name, which may hold anything.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def started_at(pid: int) -> int | None:
    """Start time of a process (field 22 of /proc/PID/stat), None when dead or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in brackets, which may itself hold brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _ended(handle: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def all_running() -> Iterator[tuple[Process, list[str]]]:
    """Every process of this host with its command line, as far as we may see them."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        started = started_at(int(entry.name))
        if started is not None:
            yield Process(int(entry.name), started), words
