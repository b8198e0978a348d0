"""Kernel, ramdisk and root image of a boot are of one version, whenever imports come."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.patience import until

XENIAL = "ubuntu/amd64/generic/xenial/daily"
FILES = ("boot-kernel", "boot-initrd", "squashfs")
BLOCKS = 3


class Mirror:
    """Brings out a new version when it is told to, and has it imported."""

    def __init__(self, world, files) -> None:
        self._source = files
        self._importer = world.importer(files)
        self.number = 0
        self.bring_out()

    def bring_out(self) -> None:
        self.number += 1
        self._source.files = {
            f"{XENIAL}/{name}": f"version {self.number:06d}\n".encode() * 34 * BLOCKS
            for name in FILES
        }
        assert self._importer.run().changed


def fetch_slowly(client, path: str, before_block) -> bytes:
    """A file over TFTP, with something to happen before each block is acknowledged."""
    client.ask(path)
    content = b""
    for number in range(1, 100):
        opcode, block, data = client.receive()
        assert (opcode, block) == (3, number), data
        content += data
        before_block()
        client.ack(block)
        if len(data) < 512:
            return content
    raise AssertionError("the file has no end")


@pytest.mark.seed("s16", "s42")
def test_imports_between_any_two_blocks_never_mix_versions(
    world, files, served, start_tftp, connect
) -> None:
    mirror = Mirror(world, files)
    server = start_tftp(served)

    @settings(max_examples=12)
    @given(moments=some.sets(some.integers(0, (BLOCKS + 1) * len(FILES)), max_size=4))
    def boots(moments: set[int]) -> None:
        begun = mirror.number
        passed = iter(range(1000))

        def may_import() -> None:
            if next(passed) in moments:
                mirror.bring_out()

        paths = world.pinned_paths(XENIAL)
        found = {
            line
            for path in paths
            for line in fetch_slowly(connect(server), path, may_import).splitlines()
        }
        assert found == {f"version {begun:06d}".encode()}

    boots()
    assert mirror.number > 1


@pytest.mark.seed("s16", "s42")
def test_clients_that_boot_while_versions_change_never_see_a_mix(
    world, files, served, start_tftp, connect
) -> None:
    mirror = Mirror(world, files)
    server = start_tftp(served)
    over = threading.Event()
    seen: set[bytes] = set()

    def boot_again_and_again(number: int) -> None:
        while not over.is_set():
            found = {
                line
                for path in world.pinned_paths(XENIAL)
                for line in connect(server, seed=number).fetch(path).splitlines()
            }
            assert len(found) == 1, found
            seen.add(found.pop())

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(boot_again_and_again, number) for number in range(8)]
        try:
            for _ in range(15):
                mirror.bring_out()
            until(lambda: mirror.bring_out() or len(seen) > 3 or any(map(Future.done, clients)))
        finally:
            over.set()
        for client in clients:
            client.result()
    assert len(seen) > 3
