"""HAProxy as Debian packages it, in front of several APIs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.engine import HOST, Engine


class HAProxy(Engine):
    """Sends each request to an API that says of itself that it is ready."""

    name = "HAProxy"
    user = "haproxy"
    package = "haproxy"

    def __init__(self, folder: Path, port: int, apis: Sequence[int]) -> None:
        super().__init__(folder, port)
        self._apis = list(apis)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        servers = "\n".join(
            f"    server api{number} {HOST}:{port} check inter 500ms fall 2 rise 1"
            for number, port in enumerate(self._apis, 1)
        )
        (self.folder / "haproxy.cfg").write_text(_CONFIGURATION.format(port=self.port) + servers)
        with (self.folder / "haproxy.cfg").open("a") as file:
            file.write("\n")

    def command(self) -> Sequence[str]:
        return ("/usr/sbin/haproxy", "-db", "-f", str(self.folder / "haproxy.cfg"))


# A request that reached no API is sent to the other one; one that may have is not. Answers
# that stream (events) are silent for up to 15 seconds between two signs of life.
_CONFIGURATION = """\
global
    maxconn 4096
defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout http-request 30s
    retries 3
    option redispatch 1
    retry-on conn-failure
    option httpchk GET /readyz
    default-server observe layer4 error-limit 5 on-error mark-down
frontend drophammer
    bind 127.0.0.1:{port}
    default_backend apis
backend apis
    balance leastconn
"""
