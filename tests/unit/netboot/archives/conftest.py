"""Writers of archives, honest and evil, and the real packages of this distribution.

Tests get functions as fixtures, since test modules do not import each other.
"""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE

PACKAGES = ("shim-signed", "grub-efi-amd64-signed", "pxelinux", "syslinux-common")
FILE, FOLDER, LINK, DEVICE = 0o100644, 0o040755, 0o120777, 0o020644


@dataclass(frozen=True)
class Made:
    """What is to be in a cpio archive."""

    name: str
    content: bytes = b""
    mode: int = FILE
    inode: int = 0
    links: int = 1


def cpio(*members: Made) -> bytes:
    """A newc archive with these members."""
    out = b""
    for number, member in enumerate((*members, Made("TRAILER!!!", mode=0)), 1):
        name = member.name.encode() + b"\0"
        fields = (
            *(member.inode or number, member.mode, 0, 0, member.links, 0, len(member.content)),
            *(8, 1, 0, 0, len(name), 0),
        )
        out += b"070701" + b"".join(b"%08x" % value for value in fields) + name
        out += bytes(-len(out) % 4) + member.content
        out += bytes(-len(out) % 4)
    return out


def _header(tags: dict[int, tuple[int, bytes]]) -> bytes:
    index, store = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        index += struct.pack(">IIII", tag, kind, len(store), 1)
        store += value
    return (
        b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", len(tags), len(store)) + index + store
    )


def rpm(payload: bytes, **changed: bytes) -> bytes:
    """An RPM around a payload; ``digest`` and ``format`` may be given wrong."""
    digest = changed.get("digest", hashlib.sha256(payload).hexdigest().encode())
    tags = {
        1124: (6, changed.get("format", b"cpio") + b"\0"),
        5092: (8, digest + b"\0"),
    }
    header = _header(tags)
    signature = _header({273: (6, hashlib.sha256(header).hexdigest().encode() + b"\0")})
    lead = b"\xed\xab\xee\xdb\x03\x00\x00\x00" + bytes(88)
    return lead + signature + bytes(-len(signature) % 8) + header + payload


def ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def deb(data: bytes, name: str = "data.tar") -> bytes:
    return ar(("debian-binary", b"2.0\n"), ("control.tar", b""), (name, data))


def tar(*infos: tarfile.TarInfo, mode: str = "w:", content: bytes = b"content") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for info in infos:
            if info.isreg():
                info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


class Writers:
    """All of the above, for tests."""

    Made = Made
    FILE, FOLDER, LINK, DEVICE = FILE, FOLDER, LINK, DEVICE
    cpio, rpm, ar, deb, tar, info = map(staticmethod, (cpio, rpm, ar, deb, tar, info))


@pytest.fixture(scope="session")
def write() -> type[Writers]:
    return Writers


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A package of this distribution: from apt's cache, or downloaded."""
    folder = tmp_path_factory.mktemp("packages")

    def get(name: str) -> Path:
        cached = sorted(Path("/var/cache/apt/archives").glob(f"{name}_*.deb"))
        if not cached and not list(folder.glob(f"{name}_*.deb")):
            argv = ["apt-get", "download", "-q", "-o", "Acquire::Retries=0", name]
            try:
                subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"no package {name} and no network to get it: {error}")
        return (cached or sorted(folder.glob(f"{name}_*.deb")))[-1]

    return get
