"""A mirror over real HTTP that can misbehave, and keys to sign with.

Tests get classes as fixtures, since test modules do not import each other.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from netboot.importing.fetch import Fetch, FetchSettings
from netboot.importing.source import Known, Source, take
from tests.patience import PATIENCE


@dataclass
class Mirror:
    """Files by path, and what goes wrong with them: a list of faults, used up one by one.

    "stall": half of the content comes, and the other when ``go_on`` is set.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    etags: bool = True
    head: bool = True
    url: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def paths(self, method: str = "GET") -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        mirror = self.mirror
        headers = {name.lower(): value for name, value in self.headers.items()}
        mirror.asked.append((self.command, self.path, headers))
        faults = mirror.faults.get(self.path, [])
        fault = faults.pop(0) if faults and body else None
        content = mirror.files.get(self.path)
        if isinstance(fault, tuple):
            self._say(fault[0], b"", {"Location": fault[1]})
        elif isinstance(fault, int):
            self._say(fault, b"an error page", {})
        elif not body and not mirror.head:
            self._say(405, b"", {})
        elif content is None:
            self._say(404, b"<html>Not Found</html>", {})
        else:
            self._file(content, body, fault)

    def _file(self, content: bytes, body: bool, fault: str | None) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": etag} if self.mirror.etags else {}
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range", etag) == etag:
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._say(status, content[start:], headers, body=body, fault=fault)

    def _say(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        *,
        body: bool = True,
        fault: Any = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault != "no length":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not body:
            return
        if fault == "cut":
            content = content[: len(content) // 2]
        if fault == "stall":
            half = len(content) // 2
            self.wfile.write(content[:half])
            content = content[half:]
            self.mirror.stalled.set()
            self.mirror.go_on.wait(PATIENCE)
        self.wfile.write(content)
        if fault is not None:
            self.wfile.flush()
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"mirror": made}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    made.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch() -> Callable[..., Fetch]:
    """A Fetch with the settings of a test: no pauses between attempts."""

    def make(**settings: Any) -> Fetch:
        return Fetch(FetchSettings(**{"first_pause": 0.0, "read_timeout": PATIENCE, **settings}))

    return make


Contents = dict[str, bytes]


@pytest.fixture
def imported() -> Callable[[Source, dict[str, Known]], Contents]:
    """Takes all that a source has, as an import would, and notes it in ``known``.

    Returns the content of what had to be fetched.
    """

    def run(source: Source, known: dict[str, Known]) -> Contents:
        fetched: Contents = {}
        for entry in list(source.entries(known)):
            before = known.get(entry.path)
            if before is not None and entry.sha256 == before.sha256:
                continue
            out = io.BytesIO()
            sha256, size = take(entry, out)
            known[entry.path] = Known(sha256, size, entry.origin)
            fetched[entry.path] = out.getvalue()
        return fetched

    return run


@dataclass(frozen=True)
class Signer:
    """A key, made for the tests."""

    home: Path
    keyring: Path

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet", *arguments]
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout

    def clear(self, text: bytes, *arguments: str) -> bytes:
        return self.gpg(*arguments, "--clearsign", data=text)

    def detached(self, text: bytes) -> bytes:
        return self.gpg("--detach-sign", data=text)


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Signer]]:
    """Makes a key of its own home; the agents that gpg starts are ended."""
    if not shutil.which("gpg"):
        pytest.skip("needs gpg")
    made: list[Signer] = []

    def make(*arguments: str, expires: str = "never") -> Signer:
        # The path of gpg-agent's socket must be short.
        home = tmp_path_factory.mktemp("gpg")
        home.chmod(0o700)
        key = Signer(home, home / "keyring.gpg")
        made.append(key)
        identity = f"Mirror {len(made)} <mirror{len(made)}@example.org>"
        key.gpg(
            "--passphrase", "", *arguments, "--quick-gen-key", identity, "ed25519", "sign", expires
        )
        key.keyring.write_bytes(key.gpg("--export"))
        return key

    yield make
    for key in made:
        subprocess.run(["gpgconf", "--homedir", str(key.home), "--kill", "gpg-agent"], check=False)


@pytest.fixture(scope="session")
def key(signer: Callable[..., Signer]) -> Signer:
    return signer()
