"""An image's bytes from its URLs, unbroken: connections that break are taken up again.

A broken download goes on at the byte where it broke when the server knows
ranges (RFC 9110 section 14), else the bytes that are already there are read
again and dropped. If the image changed on the server in between, that is an
error, not a mixture.
"""

from __future__ import annotations

import base64
import threading
import time

from agent.console import say
from agent.errors import ImageDownloadFailed, InvalidCommandParams
from agent.httpclient import HttpError, Response, Url, open_url, without_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.cmdline import Options

_MAX_CHECKSUM_FILE = 4 << 20


class ImageSource:
    """A readable image. ``total`` is its size in bytes, or None while unknown. Close it.

    Raises ImageDownloadFailed when retries are used up or the server refuses.
    """

    def __init__(self, image_info: dict[str, Any], options: Options, urls: list[str]) -> None:
        self._options = options
        self._headers = _authorization(image_info)
        self._proxies = image_info.get("proxies") or {}
        self._no_proxy = str(image_info.get("no_proxy") or "")
        self._urls = urls
        self._response: Response | None = None
        self._url, self._identity = "", ""
        self._failures_left = options.image_retries
        self._failed_at = -1
        self._deadline = _deadline(options.image_max_duration)
        self._wait = threading.Event()
        self.position = 0
        self.total: int | None = None

    def open(self) -> None:
        """Connect to the first URL that answers, so that ``total`` is known."""
        self._ensure_open()

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as one read goes; 0 at the end of the image."""
        while True:
            try:
                count = self._ensure_open().readinto(view)
            except HttpError as error:
                self._broken(error)
                continue
            self.position += count
            self._check_time()
            return count

    def fill(self, view: memoryview) -> int:
        """Fill ``view`` wholly unless the image ends; the count of bytes in it."""
        done = 0
        while done < len(view) and (count := self.readinto(view[done:])):
            done += count
        return done

    def read_all(self, limit: int) -> bytes:
        """The whole content; raises ImageDownloadFailed beyond ``limit`` bytes."""
        data, buffer = bytearray(), bytearray(1 << 16)
        while count := self.readinto(memoryview(buffer)):
            data += buffer[:count]
            if len(data) > limit:
                shown = without_credentials(self._url)
                raise ImageDownloadFailed(f"{shown} is longer than the allowed {limit} bytes")
        return bytes(data)

    def close(self) -> None:
        """Drop the connection."""
        if self._response:
            self._response.close()
            self._response = None

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ensure_open(self) -> Response:
        while self._response is None:
            self._check_time()
            for url in [self._url] if self._url else self._urls:
                try:
                    self._response = self._opened(url)
                    self._url = url
                    break
                except HttpError as error:
                    failure = error
            else:
                self._broken(failure)
        return self._response

    def _opened(self, url: str) -> Response:
        headers = dict(self._headers)
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
        response = open_url(
            url,
            headers=headers,
            timeout=self._options.image_timeout,
            insecure=self._options.insecure,
            proxy=self._proxy_for(url),
        )
        try:
            self._take_up(response, url)
        except BaseException:
            response.close()
            raise
        return response

    def _take_up(self, response: Response, url: str) -> None:
        shown = without_credentials(url)
        if response.status not in (200, 206):
            message = f"{shown} answered with status {response.status}"
            if response.status in (408, 425, 429) or response.status >= 500:
                raise HttpError(message)
            if self._urls[-1] == url or self.position:
                raise ImageDownloadFailed(message)
            raise HttpError(message)
        identity = response.headers.get("etag") or response.headers.get("last-modified", "")
        if self.position and identity != self._identity:
            raise ImageDownloadFailed(f"{shown} changed while it was being downloaded")
        self._identity = identity
        if response.status == 206 and self.position:
            expected = f"bytes {self.position}-"
            if not response.headers.get("content-range", "").startswith(expected):
                raise ImageDownloadFailed(f"{shown} answered with another range than asked for")
            return
        self.total = response.length
        self._skip(response)

    def _skip(self, response: Response) -> None:
        """Drop what an earlier connection already brought."""
        left, buffer = self.position, bytearray(1 << 18)
        while left:
            count = response.readinto(memoryview(buffer)[:left])
            if count == 0:
                raise HttpError("the answer is shorter than what was already downloaded")
            left -= count
            self._check_time()

    def _broken(self, error: HttpError) -> None:
        self.close()
        shown = without_credentials(self._url or self._urls[0])
        if self._failures_left <= 0:
            raise ImageDownloadFailed(
                f"{shown} failed at byte {self.position} and there are no retries left:"
                f" {error.message}"
            )
        self._failures_left -= 1
        say(f"image: {error.message}; going on at byte {self.position}")
        if self._failed_at == self.position:
            self._wait.wait(self._options.image_retry_interval)
        self._failed_at = self.position

    def _check_time(self) -> None:
        if self._deadline and time.monotonic() > self._deadline:
            raise ImageDownloadFailed(
                f"the download took longer than {self._options.image_max_duration:g} seconds"
            )

    def _proxy_for(self, url: str) -> str:
        parsed = Url(url)
        for part in self._no_proxy.split(","):
            suffix = part.strip().lstrip(".")
            if suffix and (parsed.host == suffix or parsed.host.endswith("." + suffix)):
                return ""
        return str(self._proxies.get(parsed.scheme) or "")


def image_urls(image_info: dict[str, Any]) -> list[str]:
    """The image's http(s) URLs. Raises InvalidCommandParams when there is none."""
    urls = image_info.get("urls")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise InvalidCommandParams("image_info.urls must be a list with at least one URL")
    for url in urls:
        try:
            Url(url)
        except HttpError as error:
            raise InvalidCommandParams(f"image_info.urls: {error.message}") from error
    return urls


def checksum_file(url: str, image_info: dict[str, Any], options: Options) -> str:
    """The text of a checksum file, fetched like the image itself."""
    with ImageSource(image_info, options, [url]) as source:
        return source.read_all(_MAX_CHECKSUM_FILE).decode("utf-8", "replace")


def _deadline(seconds: float) -> float:
    return time.monotonic() + seconds if seconds else 0.0


def _authorization(image_info: dict[str, Any]) -> dict[str, str]:
    ready = image_info.get("image_request_authorization")
    if ready:
        try:
            return {"Authorization": base64.b64decode(str(ready), validate=True).decode("latin-1")}
        except ValueError:
            raise InvalidCommandParams("image_request_authorization is not base64") from None
    if image_info.get("image_server_auth_strategy") != "http_basic":
        return {}
    user, password = image_info.get("image_server_user"), image_info.get("image_server_password")
    if not user or not password:
        raise InvalidCommandParams("http_basic needs image_server_user and image_server_password")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
