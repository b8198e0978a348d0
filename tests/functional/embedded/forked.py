"""The command ``drophammer`` as a process, without the second that Python takes to import it.

It is forked from a process that has imported the service and done nothing else; from there
on it is a process like any other. What the shell would start is `python -m embedded`.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection

from embedded import serve
from embedded.cli import main
from tests.patience import PATIENCE

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["embedded.serve", "embedded.configcmd"])


class Command:
    """One run of it. What it has is what tests use of subprocess.Popen."""

    def __init__(self, *arguments: str, stderr_apart: bool = False) -> None:
        told, output = _FORKS.Pipe(duplex=False)
        told_apart, apart = _FORKS.Pipe(duplex=False)
        streams = (output, apart if stderr_apart else output)
        self._process = _FORKS.Process(target=_run, args=(arguments, streams))
        self._process.start()
        for one in (output, apart):
            one.close()
        self.stdout = _file(told)
        self.stderr = _file(told_apart)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"still runs after {seconds} s"
        return self._process.exitcode

    def communicate(self) -> tuple[bytes, bytes]:
        """All it says until it ends."""
        told = self.stdout.read(), self.stderr.read()
        self.wait()
        return told

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, and forget it."""
        if self.poll() is None:
            self.kill()
        self.wait()
        for one in (self.stdout, self.stderr):
            one.close()
        self._process.close()


def _file(told: Connection) -> io.FileIO:
    file = io.FileIO(os.dup(told.fileno()), "rb")
    told.close()
    return file


def _run(arguments: tuple[str, ...], streams: tuple[Connection, Connection]) -> None:
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.fileno(), number)
    for stream in streams:
        stream.close()
    # So that whoever stops a service can tell whether it hangs or the machine stood still.
    serve.STOP_SECONDS = PATIENCE
    sys.argv = ["drophammer", *arguments]
    sys.exit(main())
