"""One IPMI child process as the conductor sees it: its two pipes and its end.

Never blocks on a pipe. Who waits for what, and until when, is ``keeper``'s business.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Mapping, Sequence

from conductor.ipmi.protocol import FromChild, ToChild, decode_from_child, encode

_CHUNK = 65536


class Gone(Exception):
    """The child has left, or does not speak the protocol; the text completes "the process ..."."""


class Child:
    """A running child, its pipes registered with ``selector``. OSError when it cannot start."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        selector: selectors.BaseSelector,
    ) -> None:
        # A process group of its own: Ctrl-C is for the conductor, which ends its children.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)
        self._selector = selector
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._output = bytearray()
        self._input = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: ToChild) -> None:
        """Queues a message and writes as much as the pipe takes."""
        self._output += encode(message)
        self.flush()

    def flush(self) -> None:
        """Writes what is queued; the selector reports when there is room for the rest."""
        try:
            if self._output:
                written = self._stdin.write(self._output)
                del self._output[: written or 0]
        except BrokenPipeError:
            self._output.clear()  # Its end is noticed, and dealt with, on the reading side.
        registered = self._stdin in self._selector.get_map()
        if self._output and not registered:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        elif registered and not self._output:
            self._selector.unregister(self._stdin)

    def receive(self) -> list[FromChild]:
        """The messages that are there now. Raises Gone when there will be no more."""
        chunk = self._stdout.read(_CHUNK)
        if chunk is None:
            return []
        if not chunk:
            raise Gone(self._farewell())
        *lines, self._input = (self._input + chunk).split(b"\n")
        try:
            return [decode_from_child(line) for line in lines]
        except (ValueError, KeyError, TypeError):
            raise Gone("wrote something that is not our protocol") from None

    def stop(self, patience: float) -> list[FromChild]:
        """Ends the child, by force after ``patience`` seconds. Returns its last messages."""
        for pipe in (self._stdin, self._stdout):
            if pipe in self._selector.get_map():
                self._selector.unregister(pipe)
        self._stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        last = self._last_messages()
        self._stdout.close()
        return last

    def _last_messages(self) -> list[FromChild]:
        last: list[FromChild] = []
        try:
            while messages := self.receive():
                last += messages
        except Gone:
            pass
        return last

    def _farewell(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "closed its output"
        return f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
