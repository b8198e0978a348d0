"""The nginx example in etc/, with a certificate made on the spot, before a real service."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.embedded.conftest import free_port
from tests.patience import PATIENCE, until

EXAMPLE = Path(__file__).parents[3] / "etc/nginx/drophammer.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NAME = "bmc.example.org"

pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None, reason="nginx or openssl is not installed"
)


class Nginx:
    """The example, listening on free ports, before two addresses."""

    def __init__(self, folder: Path, upstreams: tuple[int, int]) -> None:
        self.port, self.plain = free_port(), free_port()
        self._folder = folder
        self._certificate()
        text = EXAMPLE.read_text()
        for old, new in (
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("listen 80", f"listen 127.0.0.1:{self.plain}"),
            ("/etc/drophammer/tls/", f"{folder}/"),
            ("127.0.0.1:6385", f"127.0.0.1:{upstreams[0]}"),
            ("127.0.0.1:6386", f"127.0.0.1:{upstreams[1]}"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        (folder / "site.conf").write_text(text)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
            "events {}\nhttp {\naccess_log off;\n"
            f"{temporary}include {folder}/site.conf;\n}}\n"
        )
        self._command = (str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"))
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> subprocess.CompletedProcess[str]:
        """``nginx -t``."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        until(self._listens, lambda: "nginx does not listen", pause=0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)

    def connection(self) -> http.client.HTTPSConnection:
        """To the service by its name, whose certificate is looked at."""
        context = ssl.create_default_context(cafile=str(self._folder / "api.crt"))
        made = http.client.HTTPSConnection(NAME, self.port, timeout=PATIENCE, context=context)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        made.sock = context.wrap_socket(plain, server_hostname=NAME)
        return made

    def _certificate(self) -> None:
        asked = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        names = ("-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
        files = ("-keyout", self._folder / "api.key", "-out", self._folder / "api.crt")
        command = ("openssl", "req", *asked, *names, *files)
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Any]:
    made: list[Nginx] = []

    def make(*upstreams: int) -> Nginx:
        folder = tmp_path / "nginx"
        folder.mkdir()
        made.append(Nginx(folder, (upstreams[0], upstreams[-1])))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def asked(nginx: Nginx, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = nginx.connection()
    headers = {"X-OpenStack-Ironic-API-Version": "1.95", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else text


def test_requests_and_events_come_through_it(nginx: Any, serve: Any, config: Path) -> None:
    front = nginx(away := free_port(), port := free_port())
    config.write_text(f"{config.read_text()}\n[api]\npublic_endpoint = https://{NAME}\n")
    checked = front.check()
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    served = serve("--no-netboot", listen=f"127.0.0.1:{port}")
    served.until("Ctrl-C stops it.")
    front.start()
    assert away != port
    # One API does not run: reads find the other one.
    for _ in range(3):
        assert asked(front, "GET", "/v1/nodes")[0] == 200
    listening = front.connection()
    listening.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
    stream = listening.getresponse()
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    status, node = asked(front, "POST", "/v1/nodes", {"driver": "fake-hardware", "name": "n"})
    assert status == 201
    assert node["links"][0]["href"].startswith(f"https://{NAME}/v1/nodes/")
    assert asked(front, "PUT", "/v1/nodes/n/states/provision", {"target": "manage"})[0] == 202
    # What is held back comes no more while nothing else happens.
    while b"event: state" not in (line := stream.readline()):
        assert line
    listening.close()
    large = {"driver": "fake-hardware", "extra": {"large": "x" * 3_000_000}}
    # Too much for the API, which says so itself: as JSON.
    status, told = asked(front, "POST", "/v1/nodes", large)
    assert (status, type(told)) == (413, dict)
    for hidden in ("/metrics", "/readyz", "/healthz"):
        assert asked(front, "GET", hidden)[0] == 404
    redirected = http.client.HTTPConnection("127.0.0.1", front.plain, timeout=PATIENCE)
    redirected.request("GET", "/v1/nodes?x=1", headers={"Host": NAME})
    assert redirected.getresponse().headers["Location"] == f"https://{NAME}/v1/nodes?x=1"
    redirected.close()


class Mute:
    """An API that takes a request and dies: it counts them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            with taken:
                self.requests.append(taken.recv(65536).split(b" ")[0])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_change_is_never_sent_twice_and_a_read_is(nginx: Any) -> None:
    first, second = Mute(), Mute()
    front = nginx(first.port, second.port)
    front.start()
    assert asked(front, "PUT", "/v1/nodes/n/states/provision", {"target": "manage"})[0] == 502
    assert first.requests + second.requests == [b"PUT"]
    assert asked(front, "GET", "/v1/nodes")[0] in (502, 504)
    assert (first.requests + second.requests).count(b"GET") >= 1
    first.close()
    second.close()
