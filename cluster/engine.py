"""What all engines have in common: a process of another user's, in a folder, on a port."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from drophammer.errors import DrophammerError, Unavailable
from lab import processes

READY_SECONDS = 90.0
STOP_SECONDS = 20.0
HOST = "127.0.0.1"


class Engine:
    """One server. ``folder`` is its own; ``port`` is where it listens on loopback.

    What is in the folder outlives the process: started again it goes on with its data.
    """

    name: ClassVar[str]
    # Whose process it is when we are root; empty: ours.
    user: ClassVar[str] = ""
    package: ClassVar[str]

    def __init__(self, folder: Path, port: int, *, listen: str = HOST) -> None:
        self.folder = folder
        self.port = port
        # Loopback or 0.0.0.0, where it is to be found under several addresses.
        self.listen = listen
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process that was started is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, as long as it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def url(self) -> str:
        """How clients of Drophammer are told to reach it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers. Raises Unavailable with its last words."""
        self.launch()
        self._await_answer()

    def launch(self) -> None:
        """Start it, and leave it at that."""
        self._make_folder()
        self.prepare()
        log = (self.folder / "output.log").open("ab")
        try:
            self._process = subprocess.Popen(
                self.command(),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                **self._identity(),
            )
        except FileNotFoundError as error:
            raise Unavailable(
                f"{self.name} is not installed: {error.filename} is missing; install Debian's "
                f"{self.package}."
            ) from error
        finally:
            log.close()
        processes.record(self.folder / "process.json", self._process.pid)

    def stop(self) -> None:
        """End it in good order; by force when that takes too long."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
        self.after_end()

    def kill(self) -> None:
        """End it at once with all its processes, as a power cut would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None
        self.after_end()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing comes back, not even what was under way."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            pids = (self._process.pid, *processes.descendants(self._process.pid))
            wait_for(lambda: not any(map(_moves, pids)), STOP_SECONDS, self._last_words)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    # What an engine says of itself

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def prepare(self) -> None:
        """Make what must be there before the first start; nothing when it is."""

    def command(self) -> Sequence[str]:
        """The server in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables of its own."""
        return {}

    def is_open(self) -> bool:
        """Whether somebody accepts connections on its port."""
        return port_is_open(self.port)

    def answers(self) -> bool:
        """Whether it takes work, asked once its port is open."""
        return True

    def after_end(self) -> None:
        """Clear away what the process leaves running."""

    # For them to use

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A tool of the engine's, as its user. Raises DrophammerError with what it said."""
        done = subprocess.run(
            command,
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._identity(),
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout)[-800:]
            raise DrophammerError(f"{self.name}: {Path(command[0]).name} failed: {said}")
        return done

    def _identity(self) -> dict[str, Any]:
        if os.geteuid() != 0 or not self.user:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **self.environment()}

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and self.user:
            try:
                shutil.chown(self.folder, self.user, self.user)
            except LookupError as error:
                raise Unavailable(
                    f"{self.name} is not installed: there is no user {self.user}; install "
                    f"Debian's {self.package}."
                ) from error
        self.folder.chmod(0o700)

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        # PostgreSQL's servers of one client each are in groups of their own.
        for pid in (*processes.descendants(self._process.pid), self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _await_answer(self) -> None:
        wait_for(self._ready, READY_SECONDS, self._last_words)

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise Unavailable(self._last_words())
        return self.is_open() and self.answers()

    def _last_words(self) -> str:
        text = (self.folder / "output.log").read_text(errors="replace")
        return f"{self.name} did not start on port {self.port}: {text[-1500:]}"


def wait_for(ready: Callable[[], bool], seconds: float, words: Callable[[], str]) -> None:
    """Return as soon as ``ready()``; raise Unavailable with ``words()`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise Unavailable(words())
        time.sleep(0.05)


def _moves(pid: int) -> bool:
    """Whether any thread of a process has not been stopped yet, which it may be a little later."""
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[0] not in "TZX":
                return True
    return False


def port_is_open(port: int, host: str = HOST) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
