"""What a boot file is, whoever asks for it: the ground shared by TFTP and HTTP.

A server turns what it heard into a Request and asks a Source, which answers with
bytes made for this machine (Rendered) or a file on disk (StoredFile). This file
knows no protocol and decides nothing about who may have what: that is the source.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from drophammer.errors import DeadlineExceeded, Forbidden, NotFound, Unavailable

log = logging.getLogger(__name__)

MEDIA_TYPES = {
    ".cfg": "text/plain; charset=utf-8",
    ".conf": "text/plain; charset=utf-8",
    ".efi": "application/efi",
    ".ipxe": "text/plain; charset=utf-8",
    ".iso": "application/vnd.efi-iso",
    ".txt": "text/plain; charset=utf-8",
}
"""UEFI HTTP boot chooses its loader by these media types (UEFI 2.10, section 24.7.1)."""

_KEY = re.compile(r"(^|['/])boot/+[^/]+", re.IGNORECASE)

ANY_MEDIA_TYPE = "application/octet-stream"

COMPLETE = "complete"
"""The outcome of a transfer that a machine has all of."""
PROBED = "size probe"
"""That of a request for the size only: no transfer. Firmware makes one in front of each."""
UNCONFIRMED = "complete but for the last acknowledgement"
"""That of a machine which was sent everything and went on without a word, as some firmware does."""


Address = tuple[Any, ...]
"""A socket address of IPv4 or IPv6, as the socket module gives it."""


@dataclass(frozen=True)
class Request:
    """One machine asks for one path.

    ``path`` is decoded, with '/' between its parts and none in front, and has no
    '..' in it; ``client`` and ``local`` are the texts of IP addresses, ``local``
    being the one of ours that the client spoke to.
    """

    protocol: Literal["tftp", "http"]
    path: str
    client: str
    local: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendered:
    """Bytes made for one machine; kept out of logs, because boot scripts hold tokens."""

    data: bytes = field(repr=False)
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class StoredFile:
    """A regular file which the source has already found to be one it may hand out."""

    path: Path
    size: int
    media_type: str = ANY_MEDIA_TYPE


class Source(Protocol):
    """Where boot files come from."""

    async def open(self, request: Request) -> Rendered | StoredFile:
        """Answer one request; raises NotFound, Forbidden or another DrophammerError.

        The messages of NotFound, Forbidden and other errors with a status below
        500 are shown to the machine that asked: they must not name our paths. What
        there is to do about it stands behind a semicolon (see refusals.py).
        """


class Observer(Protocol):
    """Who wants to know of transfers, to write boot events.

    Called on the event loop: return at once, and leave slow work to a thread.
    What an observer raises is logged and never touches the transfer.
    """

    def started(self, request: Request) -> None:
        """The request was understood; the source is asked next."""

    def finished(
        self, request: Request, sent: int, total: int, seconds: float, outcome: str
    ) -> None:
        """The transfer is over: ``sent`` of ``total`` bytes arrived; COMPLETE is success."""


class Nobody:
    """The observer for those who want to know nothing."""

    def started(self, request: Request) -> None:
        pass

    def finished(
        self, request: Request, sent: int, total: int, seconds: float, outcome: str
    ) -> None:
        pass


def clean_path(text: str) -> str:
    """The path of a Request from what a client wrote; raises Forbidden for '..' and NUL.

    Backslashes count as slashes (Windows boot loaders ask so); empty and '.' parts go.
    """
    if "\0" in text:
        raise Forbidden("The path has a NUL character in it; ask for a plain file name.")
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Forbidden("The path leads upwards ('..'); ask for a path below the root.")
    return "/".join(parts)


class StaticFiles:
    """A read-only tree of regular files; nothing outside of its root is ever handed out."""

    def __init__(self, root: Path, *, slow_disk: bool = False) -> None:
        """``slow_disk``: look files up in a thread, for trees on a network file system.

        A local disk answers in microseconds, a quarter of what the thread costs.
        """
        self._root = str(root)
        self._slow_disk = slow_disk

    async def open(self, request: Request) -> StoredFile:
        """Find the file below the root; raises NotFound or Forbidden."""
        if self._slow_disk:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self.find, request.path)
        return self.find(request.path)

    def find(self, path: str) -> StoredFile:
        """The same for callers without an event loop; touches the disk."""
        if path.startswith("/") or "\0" in path or ".." in path.split("/"):
            raise Forbidden("The path leads outside of the tree of boot files.")
        # Resolved each time: operators switch trees by moving a symbolic link.
        root, _ = self._resolve(self._root, "")
        full, found = self._resolve(os.path.join(root, path), path)
        if full != root and not full.startswith(root.rstrip("/") + "/"):
            raise Forbidden(f"{_shown(path)} leads outside of the tree of boot files.")
        if stat.S_ISDIR(found.st_mode):
            raise NotFound(f"{_shown(path)} is a directory; ask for a file in it.")
        if not stat.S_ISREG(found.st_mode):
            raise Forbidden(f"{_shown(path)} is not a regular file.")
        media_type = MEDIA_TYPES.get(os.path.splitext(full)[1].lower(), ANY_MEDIA_TYPE)
        return StoredFile(Path(full), found.st_size, media_type)

    @staticmethod
    def _resolve(where: str, path: str) -> tuple[str, os.stat_result]:
        """The real path behind all symbolic links, as the kernel sees it, and its stat.

        O_PATH opens without side effects, even a device.
        """
        try:
            fd = os.open(where, os.O_PATH | os.O_CLOEXEC)
        except PermissionError:
            raise Forbidden(f"{_shown(path)} may not be read.") from None
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise Unavailable("There are too many open files.") from None
            raise NotFound(f"There is no file {_shown(path)}.") from None
        try:
            return os.readlink(f"/proc/self/fd/{fd}"), os.fstat(fd)
        finally:
            os.close(fd)


@dataclass
class Opened:
    """What a server sends: either ``data`` or the open ``fd`` (close it with ``close``)."""

    size: int
    media_type: str
    data: bytes | None = field(default=None, repr=False)
    fd: int = -1
    modified_ns: int = 0

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def give_fd(self) -> int:
        """The descriptor, now the caller's to close."""
        fd, self.fd = self.fd, -1
        return fd


async def open_content(source: Source, request: Request, limit: float) -> Opened:
    """Ask the source and open what it names, within ``limit`` seconds.

    Raises what the source raises, DeadlineExceeded when it is too slow, NotFound
    or Forbidden when the file is gone or not a regular one any more.
    """
    try:
        async with asyncio.timeout(limit):
            content = await source.open(request)
    except TimeoutError:
        raise DeadlineExceeded(
            f"Looking up {_shown(request.path)} took longer than {limit:g} s."
        ) from None
    if isinstance(content, Rendered):
        return Opened(len(content.data), content.media_type, data=content.data)
    return _open_file(content)


def _open_file(stored: StoredFile) -> Opened:
    """Open here and now: the source has just looked at it, so nothing waits for a disk."""
    try:
        # NOFOLLOW and NONBLOCK: the tree may change after the source has looked.
        fd = os.open(stored.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise Unavailable("There are too many open files.") from None
        if isinstance(error, PermissionError) or error.errno == errno.ELOOP:
            raise Forbidden("The file may not be read.") from None
        raise NotFound("The file is not there any more.") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise Forbidden("This is not a regular file.")
    return Opened(found.st_size, stored.media_type, fd=fd, modified_ns=found.st_mtime_ns)


def ip_text(address: Address) -> str:
    """The IP address of a socket address without scope, IPv4 written as IPv4."""
    text: str = address[0]
    if ":" not in text:
        return text
    ip = ipaddress.IPv6Address(text.partition("%")[0])
    return str(ip.ipv4_mapped or ip)


def without_key(text: str) -> str:
    """A path, or a sentence with one in it, without the key that opens the files of one boot."""
    return _KEY.sub(r"\1boot/******", text)


def notify(call: Callable[..., None], *arguments: Any) -> None:
    """Tell an observer; nothing that it does may reach the transfer."""
    try:
        call(*arguments)
    except Exception:  # the observer's fault must not cost a machine its boot
        log.exception("An observer of transfers failed")


def _shown(path: str) -> str:
    """A client's path in a message: printable, not endless, and of no use to who reads a log."""
    path = without_key(path)
    return ascii(path if len(path) <= 120 else path[:117] + "...")
