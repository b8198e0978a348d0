"""Members of a tar archive, by Python's tarfile with what it does not check by itself.

tarfile reads any length of a long name, extended header or map of holes into memory,
searches them in quadratic time, calls itself for each one in a row, takes sizes below zero,
and a damaged header or a sudden end in the middle for the end: all are refused here before
it gets to see them.
"""

from __future__ import annotations

import tarfile
from typing import Any, cast

from netboot.archives.member import BadArchive, Kind, Member, Members, Readable, member_name
from netboot.archives.reading import drained

_LONGEST_HEADER = 1 << 13
"""Room for a name and a target, each as long as names may be."""
_MOST_EXTENDED = 4 << 20
_MOST_IN_A_ROW = 8
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Archive(tarfile.TarFile):
    """Counts what extends its headers: tarfile keeps it, or searches it, all of it."""

    extended = in_a_row = 0

    def count(self, header: tarfile.TarInfo) -> None:
        """Raises BadArchive when it is too much."""
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise BadArchive("it has a file with holes, which no package needs")
        if header.type not in _EXTENDED:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.extended += header.size
        if header.size > _LONGEST_HEADER or self.extended > _MOST_EXTENDED:
            raise BadArchive(
                f"a tar header is extended by {header.size} bytes, all by {self.extended}"
            )
        if self.in_a_row > _MOST_IN_A_ROW:
            raise BadArchive(f"a tar header is extended more than {_MOST_IN_A_ROW} times")


class _Header(tarfile.TarInfo):
    def _proc_member(self, archive: Any) -> Any:
        # Meant to be overridden, says tarfile.
        archive.count(self)
        return cast(Any, super())._proc_member(archive)

    def _proc_gnusparse_10(self, *_: Any) -> None:
        raise BadArchive("it has a file with holes, which no package needs")

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        return cls._checked(super().frombuf, buf, encoding, errors)

    @classmethod
    def _frombuf(cls, buf: Any, encoding: str, errors: str, **how: Any) -> Any:
        # What tarfile itself calls since its fix of 2025, which Debian's 3.11.2 has and 3.11.7
        # has not.
        read = cast(Any, super())._frombuf
        return cls._checked(read, buf, encoding, errors, **how)

    @classmethod
    def _checked(cls, read: Any, buf: Any, *how: Any, **more: Any) -> Any:
        if len(buf) == tarfile.BLOCKSIZE and not any(buf):
            return read(buf, *how, **more)  # says that this is the end
        try:
            header = read(buf, *how, **more)
        except tarfile.HeaderError as error:
            raise BadArchive(f"a tar header is missing or damaged ({error})") from None
        if header.size < 0:
            raise BadArchive("a tar header announces less than nothing")
        return header


class _Whole:
    """Hands tarfile whole blocks: it takes a short one for the end of the archive."""

    def __init__(self, source: Readable) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and (block := self._source.read(size)):
            parts.append(block)
            size -= len(block)
        return b"".join(parts)


def members(source: Readable) -> Members:
    """All members. Raises BadArchive."""
    try:
        with _Archive.open(
            fileobj=cast(Any, _Whole(source)),
            mode="r|",
            tarinfo=_Header,
            encoding="utf-8",
            errors="surrogateescape",
            errorlevel=2,
            bufsize=1 << 16,
        ) as archive:
            for info in archive:
                content = archive.extractfile(info) if info.isreg() else None
                yield _member(info), cast(Readable, content or _Empty())
                # tarfile keeps every member it has met.
                cast(Any, archive).members.clear()
        drained(source)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        raise BadArchive(f"it is not a whole tar archive ({error})") from None


class _Empty:
    def read(self, size: int, /) -> bytes:
        return b""


def _member(info: tarfile.TarInfo) -> Member:
    name = member_name(info.name.encode("utf-8", "surrogateescape") or b".")
    if info.isreg():
        return Member(name, Kind.FILE, info.size)
    if info.isdir():
        return Member(name, Kind.FOLDER)
    if info.issym():
        return Member(name, Kind.SYMLINK, target=info.linkname)
    if info.islnk():
        target = member_name(info.linkname.encode("utf-8", "surrogateescape"))
        return Member(name, Kind.HARDLINK, target=target)
    raise BadArchive(f"{name!r} is a device, pipe or socket, which no package needs")
