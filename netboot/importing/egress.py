"""What may be asked for: schemes, hosts and folders. Every URL passes here, redirects too.

Decides only; opens no connection.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from drophammer.errors import Invalid

_LONGEST = 2048
_ALLOWED = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Egress:
    """Patterns of hosts (none: all), and the folders that file:// may read (none: no file://)."""

    hosts: tuple[str, ...] = ()
    file_roots: tuple[Path, ...] = ()

    def check(self, url: str) -> SplitResult:
        """The URL in its parts. Raises Invalid, saying which rule is against it."""
        parts = _split(url)
        if parts.scheme == "file":
            self.file(url)
            return parts
        if parts.scheme not in ("http", "https"):
            raise Invalid(
                f"{shown(url)} is not fetched: http, https and, where allowed, file are the "
                "schemes of upstreams."
            )
        host = (parts.hostname or "").lower()
        if not host:
            raise Invalid(f"{shown(url)} is not fetched: it names no host.")
        if self.hosts and not any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts):
            raise Invalid(
                f"{shown(url)} is not fetched: {host} is none of the hosts that [import] hosts "
                f"allows ({', '.join(self.hosts)})."
            )
        return parts

    def file(self, url: str) -> Path:
        """The file of a file:// URL. Raises Invalid unless it lies in an allowed folder."""
        parts = _split(url)
        if not self.file_roots:
            raise Invalid(
                f"{shown(url)} is not read: file:// is allowed only below the folders of "
                "[import] file_roots (import-netboot: --allow-files), and there are none."
            )
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise Invalid(f"{shown(url)} is not read: a file:// URL is file:///and/a/path.")
        text = unquote(parts.path)
        if "\0" in text:
            raise Invalid(f"{shown(url)} is not read: no file has such a name.")
        found = os.path.realpath(text)
        for root in self.file_roots:
            if Path(found).is_relative_to(os.path.realpath(root)):
                return Path(found)
        raise Invalid(
            f"{shown(url)} is not read: it leads to {found}, outside of the allowed folders "
            f"({', '.join(map(str, self.file_roots))})."
        )


def shown(url: str) -> str:
    """The URL as messages may have it: no password, no line breaks, not endless."""
    scheme, found, rest = url.partition("://")
    # The last one: a password that was not encoded may have slashes and @ in it.
    before, _, after = rest.rpartition("@")
    if found and before:
        url = f"{scheme}://{after}"
    text = url if url.isprintable() else ascii(url)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _split(url: str) -> SplitResult:
    if len(url) > _LONGEST or not _ALLOWED.fullmatch(url):
        raise Invalid(
            f"{shown(url)} is not fetched: a URL has at most {_LONGEST} characters, none of them "
            "blank or outside of ASCII."
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Invalid(f"{shown(url)} is not a URL: host or port cannot be read.") from None
    return parts._replace(scheme=parts.scheme.lower())
