"""An import that is killed, or refused by its disk, at every system call that changes anything.

strace lets the N-th call of a kind fail or be the last one. Whatever it was: what
machines boot is the old version or the new one, whole, and the next run succeeds.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netboot.content import Request, StoredFile
from tests.functional.netboot.resources import worker

ROOT = Path(__file__).resolve().parents[4]
NAMES = ("rename", "link", "symlink")
ALL = (*NAMES, "unlink", "unlinkat", "mkdir", "chmod", "fchmod", "fsync", "write", "openat")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def traced(root: Path, version: str, *options: str) -> subprocess.CompletedProcess[str]:
    """An import of ``version`` under strace."""
    command = ["strace", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-f", *options]
    command += [sys.executable, worker.__file__, str(root), version]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def first_of_ours(root: Path, call: str, log: Path) -> int:
    """How many calls of a kind Python makes before the first one that is about ``root``."""
    traced(root, "first", "-o", str(log), "-e", f"trace={call}")
    lines = [line for line in log.read_text().splitlines() if f"{call}(" in line]
    # What is written and synced has no name: our calls follow those of loading Python.
    if call in ("write", "fsync", "fchmod"):
        return 1
    found = (at for at, line in enumerate(lines, 1) if str(root) in line)
    return next(found, len(lines) + 1)


def faults(world, call: str, fault: str, log: Path) -> Iterator[tuple[str, str, object]]:
    """Import under a fault at the N-th call, for each N; (old version, new one, process)."""
    begin = first_of_ours(world.root, call, log)
    old = "first"
    for number in itertools.count(begin):
        new = f"{call}-{number}"
        done = traced(world.root, new, "-e", f"inject={call}:{fault}:when={number}")
        yield old, new, done
        if done.returncode == 0 and fault.startswith("signal"):
            return
        if number > begin + 200:
            return
        worker.importer(world.root, new).run()
        assert world.check_whole()
        assert version_of(world) == new
        assert not world.left_overs()
        old = new


def version_of(world) -> str:
    """The version that machines boot: all files say the same one."""
    current = world.current
    found = {
        re.match(r"(\S+) ", (current / path).read_text())[1]
        for path in world.resources.current().index().files
    }
    assert len(found) == 1, found
    return found.pop()


@pytest.mark.seed("s12", "s50")
@pytest.mark.parametrize("call", NAMES)
def test_an_import_killed_at_any_change_of_a_name_leaves_all_whole(world, tmp_path, call) -> None:
    killed = 0
    for old, new, done in faults(world, call, "signal=KILL", tmp_path / "log"):
        killed += done.returncode == -signal.SIGKILL
        assert world.check_whole()
        assert version_of(world) in (old, new)
    assert killed >= 2


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.seed("s12", "s50")
@pytest.mark.parametrize("call", ALL)
def test_an_import_killed_at_any_system_call_leaves_all_whole(world, tmp_path, call) -> None:
    for old, new, _ in faults(world, call, "signal=KILL", tmp_path / "log"):
        assert world.check_whole()
        assert version_of(world) in (old, new)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.seed("s50")
@pytest.mark.parametrize("call", NAMES)
def test_the_first_import_of_all_may_be_killed_too(world, tmp_path, call) -> None:
    begin = first_of_ours(world.root, call, tmp_path / "log")
    for number in itertools.count(begin):
        shutil.rmtree(world.root)
        done = traced(world.root, "one", "-e", f"inject={call}:signal=KILL:when={number}")
        world.check_whole()
        if done.returncode == 0:
            return
        worker.importer(world.root, "one").run()
        assert version_of(world) == "one"


@pytest.mark.parametrize("call", ["write", "link"])
def test_a_full_disk_is_told_in_a_sentence_and_changes_nothing(world, tmp_path, call) -> None:
    told = 0
    begin = first_of_ours(world.root, call, tmp_path / "log")
    for number in range(begin, begin + 7):
        before = version_of(world)
        done = traced(world.root, f"v{number}", "-e", f"inject={call}:error=ENOSPC:when={number}")
        assert world.check_whole()
        assert not world.left_overs()
        if done.returncode:
            assert "is full" in done.stderr
            assert "Traceback" not in done.stderr
            assert version_of(world) == before
            told += 1
        elif version_of(world) == before:
            raise AssertionError("it is said to be imported")
    assert told >= 4


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("error", "call"),
    [
        *(("ENOSPC", call) for call in ("rename", "symlink", "mkdir", "openat")),
        *(("EIO", call) for call in ("fsync", "unlink", "unlinkat", "chmod", "fchmod")),
    ],
)
def test_whatever_the_disk_refuses_is_told_in_a_sentence(world, tmp_path, call, error) -> None:
    log = tmp_path / "log"
    begin = first_of_ours(world.root, call, log)
    for number in itertools.count(begin):
        before = version_of(world)
        fault = f"inject={call}:error={error}:when={number}"
        done = traced(world.root, f"v{number}", "-o", str(log), "-e", fault)
        if "INJECTED" not in log.read_text():
            return
        assert world.check_whole()
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert done.stderr.rstrip().endswith(".")
            # It may have failed behind the swap.
            assert version_of(world) in (before, f"v{number}")
        worker.importer(world.root, f"again-{number}").run()
        assert len(world.resources.snapshots()) == 1
        assert not world.left_overs()


class ServedResources:
    """The boot resources as a source of our own servers."""

    def __init__(self, resources) -> None:
        self._resources = resources

    async def open(self, request: Request) -> StoredFile:
        path = self._resources.find(request.path)
        return StoredFile(path, path.stat().st_size)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.seed("s50")
def test_fifty_clients_read_whole_files_while_imports_are_killed(
    world, tmp_path, start_tftp, start_http, connect, monkeypatch
) -> None:
    monkeypatch.setenv("KEEP_HOURS", "1")
    worker.importer(world.root, "first").run()
    served = ServedResources(world.resources)
    tftp, http = start_tftp(served), start_http(served)
    over = threading.Event()
    paths = [f"{image}/squashfs" for image in worker.IMAGES] + ["pxelinux.0"]

    def read(number: int) -> int:
        count = 0
        while not over.is_set():
            path = paths[(number + count) % len(paths)]
            if number % 2:
                content = connect(tftp, seed=number).fetch(path, blksize=1024)
            else:
                url = f"http://127.0.0.1:{http.port}/{path}"
                with urllib.request.urlopen(url, timeout=30) as answer:
                    content = answer.read()
            lines = content.decode().splitlines()
            assert len(set(lines)) == 1
            assert len(lines) == 10
            count += 1
        return count

    with ThreadPoolExecutor(50) as pool:
        clients = [pool.submit(read, number) for number in range(50)]
        try:
            for call in NAMES:
                for old, new, _ in faults(world, call, "signal=KILL", tmp_path / "log"):
                    assert version_of(world) in (old, new)
        finally:
            over.set()
        assert min(client.result() for client in clients) > 0
