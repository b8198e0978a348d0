"""An import that is killed, or refused by its disk, at every system call that changes anything.

strace lets the N-th call of a kind fail or be the last one. Whatever it was: what
machines boot is the old version or the new one, whole, and the next run succeeds.
"""

from __future__ import annotations

import collections
import datetime
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functional.netboot.resources import worker
from tests.patience import PATIENCE

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
    for number in range(begin, begin + 12):
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


def leave(world) -> None:
    """What a run leaves that is killed before its snapshot is done: the next one removes it."""
    left = world.root / ".partial-left"
    if not left.exists():
        shutil.copytree(world.current, left, symlinks=True, copy_function=os.link)


def sampled(world, call: str, version: str, log: Path) -> Iterable[int]:
    """All numbers of a kind of call, or the first of ours, a middle and the last one."""
    leave(world)
    traced(world.root, version, "-o", str(log), "-e", f"trace={call}")
    lines = [line for line in log.read_text().splitlines() if f"{call}(" in line]
    ours = (at for at, line in enumerate(lines, 1) if str(world.root) in line)
    first, last = next(ours, 1), len(lines)
    return range(first, last + 1) if call in NAMES else (first, (first + last) // 2, last)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.seed("s16", "s42", "s50")
def test_fifty_clients_boot_one_version_each_while_imports_are_killed(
    world, served, tmp_path, start_tftp, start_http, connect, monkeypatch
) -> None:
    # Those that are killed remove old ones, too, though none that somebody boots from.
    monkeypatch.setenv("KEEP_SECONDS", "30")
    kept = datetime.timedelta(hours=1)
    lines = 200
    monkeypatch.setenv("FILE_LINES", str(lines))
    worker.importer(world.root, "first", lines).run()
    tftp, http = start_tftp(served), start_http(served)
    over = threading.Event()

    def fetched(number: int, path: str) -> bytes:
        if number % 2:
            return connect(tftp, seed=number).fetch(path, blksize=1024)
        with urllib.request.urlopen(
            f"http://127.0.0.1:{http.port}/{path}", timeout=PATIENCE
        ) as answer:
            return answer.read()

    def boot(number: int) -> set[str]:
        image = worker.IMAGES[number % 4 // 2]
        versions = set()
        while not over.is_set():
            of_this_boot = set()
            for path in world.pinned_paths(image):
                version = check(fetched(number, path), path.partition("/")[2])
                of_this_boot.add(version)
            assert len(of_this_boot) == 1, of_this_boot
            versions |= of_this_boot
            check(fetched(number, "pxelinux.0"), worker.LOADER)
        return versions

    def check(content: bytes, path: str) -> str:
        version = content.decode().partition(" ")[0]
        assert content == f"{version} {path}\n".encode() * lines, path
        return version

    killed = collections.Counter()
    with ThreadPoolExecutor(50) as pool:
        clients = [pool.submit(boot, number) for number in range(50)]
        try:
            for call in ALL:
                old = f"counted-{call}"
                for number in sampled(world, call, old, tmp_path / "log"):
                    new = f"{call}-{number}"
                    fault = f"inject={call}:signal=KILL:when={number}"
                    leave(world)
                    done = traced(world.root, new, "-e", fault)
                    killed[call] += done.returncode == -signal.SIGKILL
                    assert world.check_whole()
                    assert version_of(world) in (old, new)
                    old = f"again-{new}"
                    worker.importer(world.root, old, lines, kept).run()
                    assert version_of(world) == old
        finally:
            over.set()
        assert all(len(client.result()) > 1 for client in clients)
    assert set(killed) == set(ALL)
    assert all(killed.values()), killed
