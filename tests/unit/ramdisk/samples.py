"""Archives for tests: made by hand, member by member, good and evil ones."""

import gzip
import lzma
import stat
from collections.abc import Iterable
from pathlib import Path

from drophammer import compression
from ramdisk import newc
from ramdisk.newc import Member

FILE, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def _zstd(data: bytes) -> bytes:
    encoder = compression.zstd_encoder()
    return encoder.compress(data) + encoder.flush()


PACK = {
    "none": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zstd": _zstd,
}


def member(name: str, mode: int = FILE, data: bytes = b"", **fields) -> bytes:
    head = newc.head(Member(name.encode(), mode, size=len(data), **fields))
    return head + data + bytes(newc.padding(len(data)))


def archive(members: Iterable[bytes]) -> bytes:
    data = b"".join(members) + newc.head(Member(newc.TRAILER, 0))
    return data + bytes(-len(data) % 512)


#: What a small ramdisk has in it, with two names for one file and the content at the second.
SMALL = (
    member(".", FOLDER, mtime=5),
    member("bin", FOLDER | 0o1000, mtime=7),
    member("bin/one", stat.S_IFREG | 0o4755, ino=9, nlink=2, mtime=11),
    member("bin/two", stat.S_IFREG | 0o4755, b"\x7fELF" + bytes(70), ino=9, nlink=2, mtime=11),
    member("empty", mtime=13),
    member("etc", FOLDER),
    member("etc/resolv.conf", LINK, b"/run/resolv.conf", mtime=17),
    member("etc/up", LINK, b"../bin/one"),
    member("init", stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
    member("locked", stat.S_IFDIR | 0o500),
    member("locked/inside", data=b"x"),
    member("pipe", stat.S_IFIFO | 0o600),
)
MICROCODE = archive(
    [
        member("kernel", FOLDER),
        member("kernel/x86", FOLDER),
        member("kernel/x86/GenuineIntel.bin", data=bytes(range(256)) * 5),
    ]
)


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path
