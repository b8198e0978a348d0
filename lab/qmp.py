"""A client of QEMU's monitor protocol (QMP) over a unix socket.

One thread reads; callers of ``execute`` wait for the answer to their own
command. Events and answers are handled in the order in which QEMU sent them.
Knows nothing of machines or boot orders.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drophammer import errors

EventHandler = Callable[[str, dict[str, Any]], None]
ANSWER_SECONDS = 10.0


class Pending:
    """A command under way: ``error`` is set before ``done`` when QEMU refused it."""

    def __init__(self, then: Callable[[], None] | None) -> None:
        self.done = threading.Event()
        self.then = then
        self.error = ""


class Monitor:
    """A connection to one QEMU. ``run`` must be called by a thread of its own."""

    def __init__(self, path: Path, on_event: EventHandler) -> None:
        """Connect to the listening socket at ``path``; raises OSError when QEMU is gone."""
        self._on_event = on_event
        self._lock = threading.Lock()
        self._pending: deque[Pending] = deque()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def run(self, on_ready: Callable[[], None]) -> None:
        """Read until QEMU ends. ``on_ready`` is called once commands are accepted.

        ``on_ready`` runs on the reading thread, so it may only ``submit``.
        """
        try:
            with self._socket, self._socket.makefile("rb") as lines:
                if not lines.readline():
                    return
                self.submit("qmp_capabilities", {}, then=on_ready)
                for line in lines:
                    self._handle(json.loads(line))
        except (ConnectionError, BrokenPipeError):
            return
        finally:
            self._fail_all()

    def submit(
        self, command: str, arguments: dict[str, Any], then: Callable[[], None] | None = None
    ) -> Pending:
        """Send a command without waiting; ``then`` runs when it has succeeded."""
        pending = Pending(then)
        message = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        with self._lock:
            if self._closed:
                pending.error = "QEMU has ended"
                pending.done.set()
                return pending
            self._pending.append(pending)
            try:
                self._socket.sendall(message)
            except OSError:
                pass  # the reader sees the end of the stream and fails what is pending
        return pending

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> None:
        """Run a command and wait for its success.

        Raises HardwareError with QEMU's own words, or when it does not answer.
        """
        pending = self.submit(command, arguments or {})
        if not pending.done.wait(ANSWER_SECONDS):
            raise errors.HardwareError(f"QEMU did not answer {command} in {ANSWER_SECONDS:g} s")
        if pending.error:
            raise errors.HardwareError(f"QEMU refused {command}: {pending.error}")

    def _handle(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message["event"], message.get("data", {}))
            return
        with self._lock:
            pending = self._pending.popleft() if self._pending else None
        if pending is None:
            return
        pending.error = message.get("error", {}).get("desc", "")
        if not pending.error and pending.then is not None:
            pending.then()
        pending.done.set()

    def _fail_all(self) -> None:
        with self._lock:
            self._closed = True
            pending, self._pending = self._pending, deque()
        for one in pending:
            one.error = "QEMU has ended"
            one.done.set()
