"""A supervised program is kept running, listened to, and ends with us."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drophammer.errors import Unavailable
from netboot.services.process import Supervised
from tests.patience import AT_ONCE, PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")

Make = Callable[..., "Watched"]


class Watched:
    """A supervised shell script, and its words as they come."""

    def __init__(self, script: str, program: str = "sh", pause: float = 0.01) -> None:
        self.lines: list[str] = []
        self.ends = 0
        self._news = threading.Condition()
        self.child = Supervised(
            "a test program",
            [program, "-c", script],
            heard=self._heard,
            ended=self._ended,
            first_pause=pause,
        )

    def _heard(self, line: str) -> None:
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _ended(self) -> None:
        with self._news:
            self.ends += 1
            self._news.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(until, PATIENCE), (self.lines, self.child.state)


@pytest.fixture
def watch() -> Iterator[Make]:
    made: list[Watched] = []

    def make(script: str, **options: Any) -> Watched:
        made.append(Watched(script, **options))
        return made[-1]

    yield make
    for watched in made:
        watched.child.stop()


def gone(pid: int) -> bool:
    """Wait for the end of a process that need not be our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], PATIENCE)[0])
    finally:
        os.close(handle)


def test_each_line_is_heard(watch: Make) -> None:
    watched = watch("echo one >&2; echo two >&2; exec sleep 60")
    watched.child.start()
    watched.wait(lambda: watched.lines == ["one", "two"])
    assert watched.child.state == f"running (pid {watched.child.pid})"


def test_a_killed_program_is_started_again(watch: Make) -> None:
    watched = watch("echo $$ >&2; exec sleep 60")
    watched.child.start()
    watched.wait(lambda: len(watched.lines) == 1)
    os.kill(int(watched.lines[0]), signal.SIGKILL)
    watched.wait(lambda: len(watched.lines) == 2)
    assert watched.lines[0] != watched.lines[1]
    assert watched.ends == 1


def test_the_state_of_a_failing_program_has_its_last_words(watch: Make) -> None:
    watched = watch("echo 'cannot bind port 67' >&2; exit 2", pause=2 * PATIENCE)
    watched.child.start()
    watched.wait(lambda: watched.ends >= 1)
    assert watched.child.state.startswith("ended with code 2: cannot bind port 67; starting it")


def test_pauses_grow_between_failures(watch: Make) -> None:
    watched = watch("exit 1")
    begun = time.monotonic()
    watched.child.start()
    watched.wait(lambda: watched.ends >= 5)
    assert time.monotonic() - begun > 0.01 + 0.02 + 0.04 + 0.08


def test_a_program_that_ignores_the_term_signal_is_killed(watch: Make) -> None:
    watched = watch("trap '' TERM; echo up >&2; while :; do sleep 60; done")
    watched.child.start()
    watched.wait(lambda: watched.lines == ["up"])
    pid = watched.child.pid
    assert pid is not None
    os.kill(pid, 0)
    watched.child.stop(grace=0.1)
    assert watched.child.pid is None
    assert watched.child.state == "stopped"


def test_stopping_does_not_wait_for_a_pause(watch: Make) -> None:
    watched = watch("exit 1", pause=2 * PATIENCE)
    watched.child.start()
    watched.wait(lambda: watched.ends == 1)
    begun = time.monotonic()
    watched.child.stop()
    assert time.monotonic() - begun < AT_ONCE


def test_a_program_that_is_not_installed_is_named(watch: Make) -> None:
    with pytest.raises(Unavailable, match="no-such-program"):
        watch("", program="no-such-program").child.start()


def test_a_signal_to_a_program_that_does_not_run_is_reported(watch: Make) -> None:
    assert watch("exit 0").child.signal(signal.SIGHUP) is False


PARENT = """
import os, sys, threading
from netboot.services.process import Supervised
from tests.patience import AT_ONCE, PATIENCE
heard = threading.Event()
def line(text):
    print(text, flush=True)
    heard.set()
Supervised("p", ["sh", "-c", "echo $$ >&2; exec sleep 600"], heard=line, ended=int).start()
heard.wait()
os.kill(os.getpid(), 9)
"""


def test_the_program_ends_when_its_parent_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))
