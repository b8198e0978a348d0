"""Which process this is, and whether another one still exists."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from drophammer.processes import Process

TELLS = "from drophammer.processes import Process; print(Process.own(), flush=True); input()"


@pytest.fixture
def own() -> Process:
    found = Process.own()
    assert found is not None
    return found


def test_a_process_is_there_until_it_ends_even_before_anybody_noted_that(own: Process) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TELLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    process = Process.parse(child.stdout.readline())
    assert process is not None
    assert not process.is_gone(own)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.is_gone(own)
    child.wait()
    assert process.is_gone(own)
    assert child.stdin is not None
    child.stdin.close()
    child.stdout.close()


def test_whoever_has_its_number_now_is_somebody_else(own: Process) -> None:
    assert not own.is_gone(own)
    assert replace(own, began=own.began + 1).is_gone(own)


@pytest.mark.parametrize("elsewhere", [{"kernel": "another"}, {"namespace": "pid:[1]"}])
def test_of_a_process_elsewhere_nothing_is_known(own: Process, elsewhere: dict[str, str]) -> None:
    far = replace(own, pid=2**22 + 1, **elsewhere)
    assert not far.is_gone(own)
    assert not replace(own, pid=2**22 + 1).is_gone(None)
    assert replace(own, pid=2**22 + 1).is_gone(own)


def test_it_is_written_and_read(own: Process) -> None:
    assert Process.parse(str(own)) == own
    for text in (None, "", "a b c", "a b 1 x", "a b 1 2 3", "a b -1 2"):
        assert Process.parse(text) is None
