"""Fetching one URL: over HTTP by ourselves, by the operator's own command, or from a folder.

Which of them it is, is decided here; how each works is in ``webfetch.py``,
``commandfetch.py`` and ``filefetch.py``. None ever takes a part for the whole.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from netboot.importing.commandfetch import CommandFetcher
from netboot.importing.egress import Egress
from netboot.importing.filefetch import FileFetcher
from netboot.importing.webfetch import WebFetcher

_GIB = 1 << 30


@dataclass(frozen=True)
class FetchSettings:
    """How to fetch. ``download`` is the argv of a command; empty means that we do it."""

    download: tuple[str, ...] = ()
    proxy: str = ""
    ca_file: Path | None = None
    hosts: tuple[str, ...] = ()
    file_roots: tuple[Path, ...] = ()
    max_bytes: int = 16 * _GIB
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    attempts: int = 4
    first_pause: float = 0.5
    command_timeout: float = 3600.0


class Fetcher(Protocol):
    """Gets the content of URLs."""

    def fetch(self, url: str, out: BinaryIO, most: int) -> None:
        """Write the whole content at the end of ``out``, at most ``most`` bytes.

        Raises NotFound when it is not there, another domain error when it cannot be had; what
        ``out`` holds is then of no use.
        """

    def tag(self, url: str) -> str | None:
        """A word that changes with the content; None when upstream tells none."""


class Fetch:
    """Chooses the fetcher of each URL, once the egress policy has let it through."""

    def __init__(self, settings: FetchSettings) -> None:
        self._max_bytes = settings.max_bytes
        self._egress = Egress(settings.hosts, settings.file_roots)
        self._files = FileFetcher(self._egress)
        self._web = WebFetcher(
            self._egress,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            attempts=settings.attempts,
            first_pause=settings.first_pause,
        )
        self._command = (
            CommandFetcher(settings.download, settings.command_timeout)
            if settings.download
            else None
        )

    @property
    def by_command(self) -> bool:
        """Whether the operator's own command does it."""
        return self._command is not None

    def fetch(self, url: str, out: BinaryIO, most: int | None = None) -> None:
        """Write the whole content of ``url`` at the end of ``out``. See Fetcher."""
        self._of(url).fetch(url, out, self._max_bytes if most is None else most)

    def text(self, url: str, most: int) -> bytes:
        """The content of a small file."""
        out = io.BytesIO()
        self.fetch(url, out, most)
        return out.getvalue()

    def tag(self, url: str) -> str | None:
        """A word that changes with the content; None when it is not known."""
        return self._of(url).tag(url)

    def _of(self, url: str) -> Fetcher:
        parts = self._egress.check(url)
        if self._command:
            return self._command
        return self._files if parts.scheme == "file" else self._web
