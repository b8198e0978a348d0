"""Cutting content into TFTP packets, from memory and from files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.services.tftp_blocks import Blocks, File, Memory, to_netascii


def packets_of(content: bytes, blksize: int) -> list[bytes]:
    """The DATA packets that RFC 1350 asks for."""
    blocks = [content[at : at + blksize] for at in range(0, len(content) + 1, blksize)]
    return [b"\0\3" + (n & 0xFFFF).to_bytes(2, "big") + block for n, block in enumerate(blocks, 1)]


def windows(blocks: Blocks, size: int) -> Iterator[bytes]:
    first = 1
    while first <= blocks.last:
        count = min(size, blocks.last - first + 1)
        window = blocks.window(first, count)
        assert window is not None
        yield bytes(window)
        first += count


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(8, 600), st.integers(1, 20))
def test_windows_are_the_packets_in_a_row(content: bytes, blksize: int, window: int) -> None:
    blocks = Blocks(Memory(content), len(content), blksize, window)
    assert b"".join(windows(blocks, window)) == b"".join(packets_of(content, blksize))
    blocks.close()


@pytest.mark.parametrize("size", [0, 1, 8, 65_536, 300_001, 1_048_576])
@pytest.mark.parametrize(("blksize", "window"), [(512, 1), (1468, 7), (65464, 1), (8, 64)])
def test_a_file_gives_the_same_packets(
    tmp_path: Path, size: int, blksize: int, window: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    blocks = Blocks(File(fd), size, blksize, window)
    assert b"".join(windows(blocks, window)) == b"".join(packets_of(content, blksize))
    blocks.close()


def test_a_window_may_begin_anywhere_behind_the_last(tmp_path: Path) -> None:
    content = os.urandom(400_000)
    blocks = Blocks(Memory(content), len(content), 512, 4)
    expected = packets_of(content, 512)
    for first in (1, 2, 4, 127, 128, 129, 500, 501, 775):
        window = blocks.window(first, 4)
        assert window is not None
        assert bytes(window) == b"".join(expected[first - 1 : first + 3])
    blocks.close()


class Cold:
    """A store on a disk that always has to be waited for."""

    def __init__(self, content: bytes) -> None:
        self._store = Memory(content)

    def fill(self, views: list[memoryview], offset: int, *, wait: bool) -> int:
        return self._store.fill(views, offset, wait=wait) if wait else 0

    def close(self) -> None:
        self._store.close()


def test_a_block_that_waits_for_a_disk_comes_after_its_load() -> None:
    content = os.urandom(100_000)
    blocks = Blocks(Cold(content), len(content), 512, 1)
    assert blocks.window(5, 1) is None
    blocks.load(5)
    window = blocks.window(5, 1)
    assert window is not None
    assert bytes(window) == packets_of(content, 512)[4]
    blocks.close()


class Half(Cold):
    """A store that has only the first 2,000 octets of what is asked at hand."""

    def fill(self, views: list[memoryview], offset: int, *, wait: bool) -> int:
        got = self._store.fill(views, offset, wait=wait)
        return got if wait else min(got, 2000)


def test_the_blocks_at_hand_are_given_before_a_disk_is_waited_for() -> None:
    content = os.urandom(100_000)
    blocks = Blocks(Half(content), len(content), 512, 2)
    window = blocks.window(1, 2)
    assert window is not None
    assert bytes(window) == b"".join(packets_of(content, 512)[:2])
    assert blocks.window(3, 4) is None
    blocks.close()


def test_content_that_became_shorter_is_an_error() -> None:
    blocks = Blocks(Memory(b"x" * 100), 5000, 512, 1)
    with pytest.raises(OSError, match="shorter"):
        blocks.load(1)
    blocks.close()


def test_netascii_marks_line_ends_and_returns() -> None:
    assert to_netascii(b"a\nb\r\nc\r") == b"a\r\nb\r\0\r\nc\r\0"


@given(st.binary(max_size=200))
def test_netascii_can_be_undone(data: bytes) -> None:
    text = to_netascii(data)
    assert text.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r") == data
