"""A helper program that is kept running: started, listened to, started again, ended with us.

Knows nothing of what the program does. One thread per program does all of it, and
that thread lives as long as the program: Linux sends the "your parent has died"
signal when the *thread* that started a child ends.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from drophammer.errors import DrophammerError, Unavailable

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_SECONDS = 60.0
"""A program that ran this long had not failed at its start: pauses begin anew."""

ALSO_IN = ":/usr/sbin:/sbin"
"""Where administrators' programs are, which the PATH of other users often lacks."""

_LONGEST_LINE = 2000


def nothing() -> None:
    """For those who need not be told."""


class Supervised:
    """Keeps ``argv`` running. ``heard`` gets each line of its stderr, in the thread of this object.

    ``began`` and ``ended`` are called, in the same thread, whenever the program has been started
    or has ended; ``again`` before it is started once more, since files that it reads may have been
    lost: when that raises a domain error, it is not started yet. ``end_signal`` is what ends it in
    an orderly way, now and when this process dies; ``variables`` are added to its environment.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        heard: Callable[[str], None],
        ended: Callable[[], None],
        began: Callable[[], None] = nothing,
        again: Callable[[], None] = nothing,
        end_signal: signal.Signals = signal.SIGTERM,
        variables: Mapping[str, str] | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.name = name
        self._argv = list(argv)
        self._heard = heard
        self._began = began
        self._ended = ended
        self._again = again
        self._end_signal = end_signal
        self._variables = dict(variables or {})
        self._first_pause = first_pause
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._state = "not started"
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the program while it runs."""
        child = self._child
        return child.pid if child and child.poll() is None else None

    @property
    def state(self) -> str:
        """For people: "running (pid 7)", or why it does not run and what happens next."""
        return self._state

    def start(self) -> None:
        """Begin. Raises Unavailable when the program is not installed."""
        for program in ("setpriv", self._argv[0]):
            if shutil.which(program, path=environment()["PATH"]) is None:
                raise Unavailable(
                    f"{self.name} needs the program {program!r}, which is not installed here; "
                    "install its package or give its full path in the configuration."
                )
        self._thread.start()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; false when the program is not running."""
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                return False
            self._child.send_signal(number)
            return True

    def stop(self, grace: float = 1.0) -> None:
        """End the program and come back when it is gone; SIGKILL after ``grace`` seconds."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self.signal(self._end_signal)
        self._thread.join(grace)
        if self._thread.is_alive():
            self._kill_group()
            self._thread.join(grace)
        self._state = "stopped"

    def _kill_group(self) -> None:
        """End the program with all that it started: those hold its stderr open."""
        with self._lock:
            if self._child is not None:
                try:
                    os.killpg(self._child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def _keep(self) -> None:
        pause, prepare = self._first_pause, nothing
        while not self._stopping.is_set():
            begun = time.monotonic()
            reason = self._run(prepare)
            prepare = self._again
            if self._stopping.is_set():
                break
            if time.monotonic() - begun > STEADY_SECONDS:
                pause = self._first_pause
            self._state = f"{reason}; starting it again after {pause:g} s"
            log.error("%s: %s", self.name, self._state)
            self._ended()
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run(self, prepare: Callable[[], None]) -> str:
        """One life of the program; returns why it ended."""
        try:
            prepare()
            with self._lock:
                if self._stopping.is_set():
                    return "stopped"
                self._child = child = self._spawn()
        except OSError as error:
            return f"could not be started: {error.strerror}"
        except DrophammerError as error:
            return error.message.rstrip(".")
        self._state = f"running (pid {child.pid})"
        self._began()
        last = self._listen(child)
        code = child.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"{how}: {last}" if last else how

    def _spawn(self) -> subprocess.Popen[bytes]:
        # setpriv, and not a preexec_fn: that would run Python between fork and exec of a
        # process with many threads. Programs further down the line are exec'ed in place.
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", self._end_signal.name, "--", *self._argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            # A group of its own, so that ^C at our terminal is ours to handle.
            start_new_session=True,
            env=environment(self._variables),
        )

    def _listen(self, child: subprocess.Popen[bytes]) -> str:
        """Hand on all lines until the program closes its stderr; returns the last one."""
        last = ""
        assert child.stderr is not None
        with child.stderr as stream:
            for raw in iter(lambda: stream.readline(_LONGEST_LINE), b""):
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    last = line
                    self._heard(line)
        return last


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a program of ours is told of its surroundings, and no more: where programs are."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path + ALSO_IN, "LC_ALL": "C", **(variables or {})}
