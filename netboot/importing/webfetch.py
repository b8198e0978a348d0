"""HTTP and HTTPS: fetched whole or not at all, going on where a connection broke.

Range requests are sent only with a validator (RFC 9110, section 13.1.5), so that two
versions of a file are never glued together.
"""

from __future__ import annotations

import http
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import make_headers

from drophammer.errors import DrophammerError, Forbidden, ImageError, Invalid, NotFound, Unavailable
from netboot.importing.egress import Egress, shown

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_BLOCK = 1 << 18
_GRACE_SECONDS, _SLOWEST = 60.0, 4096
"""After the grace, an average of fewer bytes per second than this is no transfer any more."""
_AGENT = "drophammer-import"


@dataclass
class _Transfer:
    """How far one file has come."""

    url: str
    out: BinaryIO
    most: int
    start: int
    validator: str = ""
    got: int = 0

    def again(self) -> None:
        """Forget what has come."""
        self.out.seek(self.start)
        self.out.truncate()
        self.got = 0


class _Broken(Exception):
    """The attempt failed; another one may not."""


class WebFetcher:
    """Fetches by urllib3. ``pause`` waits between attempts."""

    def __init__(
        self,
        egress: Egress,
        *,
        proxy: str,
        ca_file: Path | None,
        connect_timeout: float,
        read_timeout: float,
        attempts: int,
        first_pause: float,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._egress = egress
        self._proxy = proxy
        self._ca_file = str(ca_file) if ca_file else None
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._attempts = attempts
        self._first_pause = first_pause
        self._pause = pause
        self._clock = clock
        self._pools: dict[str, urllib3.PoolManager] = {}

    def fetch(self, url: str, out: BinaryIO, most: int) -> None:
        """Write all of it at the end of ``out``, or raise a domain error."""
        transfer = _Transfer(url, out, most, out.seek(0, 2))
        self._tried(url, lambda: self._attempt(transfer))

    def tag(self, url: str) -> str | None:
        """ETag, or time of the last change and length, asked for by HEAD."""
        found: list[str | None] = []
        self._tried(url, lambda: found.append(self._head(url)))
        return found[-1]

    def _tried(self, url: str, attempt: Callable[[], None]) -> None:
        for count in range(1, self._attempts + 1):
            try:
                attempt()
                return
            except _Broken as error:
                if count == self._attempts:
                    raise Unavailable(
                        f"{shown(url)} could not be fetched: {error} ({count} attempts). Nothing "
                        "was taken. Check the mirror and the way to it, then import again."
                    ) from None
            self._pause(self._first_pause * 2 ** (count - 1))

    def _head(self, url: str) -> str | None:
        with self._answer("HEAD", url, {}) as answer:
            if answer.status in (403, 405, 501):
                return None  # servers exist that know no HEAD
            _check_status(url, answer.status)
            headers = answer.headers
            if etag := headers.get("ETag"):
                return etag
            changed = headers.get("Last-Modified")
            return f"{changed} {headers.get('Content-Length', '')}" if changed else None

    def _attempt(self, transfer: _Transfer) -> None:
        headers = {}
        if transfer.got and transfer.validator:
            headers = {"Range": f"bytes={transfer.got}-", "If-Range": transfer.validator}
        with self._answer("GET", transfer.url, headers) as answer:
            if answer.status == 416:
                transfer.again()
                raise _Broken("the server lost the place where the connection broke")
            _check_status(transfer.url, answer.status)
            if answer.status == 206:
                _check_range(transfer, answer)
            else:
                transfer.again()
                transfer.validator = _validator(answer)
            length = answer.length_remaining
            if length is None and not answer.chunked:
                raise ImageError(
                    f"{shown(transfer.url)} was not taken: the server does not say how long it is, "
                    "so that a part could not be told from the whole."
                )
            _check_room(transfer, length or 0)
            self._copy(transfer, answer)

    def _copy(self, transfer: _Transfer, answer: BaseHTTPResponse) -> None:
        began, before = self._clock(), transfer.got
        while block := answer.read1(_BLOCK):
            _check_room(transfer, len(block))
            try:
                transfer.out.write(block)
            except OSError as error:
                raise ImageError(
                    f"{shown(transfer.url)} could not be kept: {error.strerror}. Make room and "
                    "import again."
                ) from None
            transfer.got += len(block)
            spent = self._clock() - began - _GRACE_SECONDS
            if spent > 0 and transfer.got - before < spent * _SLOWEST:
                raise _Broken(f"it came slower than {_SLOWEST} bytes per second")

    @contextmanager
    def _answer(self, method: str, url: str, headers: dict[str, str]) -> Iterator[BaseHTTPResponse]:
        try:
            answer = self._followed(method, url, headers)
            try:
                yield answer
            finally:
                answer.close()
        except HTTPError as error:
            raise _Broken(_reason(error)) from None

    def _followed(self, method: str, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        at = url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._request(method, at, headers)
            if answer.status not in _REDIRECTS:
                return answer
            answer.close()
            before, at = at, urljoin(at, answer.headers.get("Location", ""))
            self._check_redirect(url, before, at)
        raise ImageError(
            f"{shown(url)} could not be fetched: it was redirected {_MOST_REDIRECTS} times, then "
            "again."
        )

    def _check_redirect(self, url: str, before: str, to: str) -> None:
        old, new = self._egress.check(before), urlsplit(to)
        if new.scheme == "file" or (old.scheme == "https" and new.scheme != "https"):
            raise Invalid(f"{shown(url)} was not fetched: it is redirected to {shown(to)}.")
        self._egress.check(to)

    def _request(self, method: str, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        parts = self._egress.check(url)
        user, _, host = parts.netloc.rpartition("@")
        sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        if user:
            sent |= make_headers(basic_auth=unquote(user))
        return self._pool(parts.scheme, parts.hostname or "").request(
            method,
            urlunsplit(parts._replace(netloc=host, fragment="")),
            headers=sent,
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
            timeout=self._timeout,
        )

    def _pool(self, scheme: str, host: str) -> urllib3.PoolManager:
        proxy = self._proxy or ("" if proxy_bypass(host) else getproxies().get(scheme, ""))
        if proxy not in self._pools:
            self._pools[proxy] = (
                urllib3.ProxyManager(proxy, ca_certs=self._ca_file)
                if proxy
                else urllib3.PoolManager(ca_certs=self._ca_file)
            )
        return self._pools[proxy]


def _validator(answer: BaseHTTPResponse) -> str:
    etag: str = answer.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return str(answer.headers.get("Last-Modified", "")) if not etag else ""


def _check_range(transfer: _Transfer, answer: BaseHTTPResponse) -> None:
    given = answer.headers.get("Content-Range", "")
    if not given.startswith(f"bytes {transfer.got}-"):
        transfer.again()
        raise _Broken(f"the server was asked to go on at {transfer.got} and sent {given[:80]!r}")


def _check_room(transfer: _Transfer, more: int) -> None:
    if transfer.got + more > transfer.most:
        raise ImageError(
            f"{shown(transfer.url)} was not taken: it has more than {transfer.most} bytes, and no "
            "more are taken of such a file."
        )


def _check_status(url: str, status: int) -> None:
    if status in (200, 206):
        return
    phrase = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ""
    answer = f"{status} {phrase}".strip()
    if status in (408, 425, 429) or status >= 500:
        raise _Broken(f"the server answered {answer}")
    sentence, error = "Check the URL, and what the mirror has.", _kind(status)
    if error is Forbidden:
        sentence = "Check the user and password of the URL, and whether the mirror lets us in."
    raise error(f"{shown(url)} could not be fetched: the server answered {answer}. {sentence}")


def _kind(status: int) -> type[DrophammerError]:
    return {401: Forbidden, 403: Forbidden, 404: NotFound, 410: NotFound}.get(status, ImageError)


def _reason(error: HTTPError) -> str:
    """urllib3's reason without the object addresses and pools it is wrapped in."""
    text = str(error).rpartition("object at 0x")[2]
    return (text.partition(">: ")[2] or text)[:200] or type(error).__name__
