"""HAProxy as Debian packages it, in front of several APIs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.engine import HOST, Engine, port_is_open
from drophammer.netns import Namespace


class HAProxy(Engine):
    """Sends each request to an API that can read what there is.

    Whether it can reach a conductor is nothing to reads; verbs it refuses with the reason.
    """

    name = "HAProxy"
    user = "haproxy"
    package = "haproxy"
    # What is asked of an API to see whether it can be sent requests.
    check = "/readyz?only=database"
    identity = ""

    def __init__(self, folder: Path, port: int, apis: Sequence[int], *, listen: str = HOST) -> None:
        super().__init__(folder, port, listen=listen)
        self._apis = list(apis)

    @property
    def url(self) -> str:
        return f"http://{self.listen}:{self.port}"

    def prepare(self) -> None:
        servers = "".join(
            f"    server api{number} {self.listen}:{port} check inter 500ms fall 2 rise 1\n"
            for number, port in enumerate(self._apis, 1)
        )
        head = _CONFIGURATION.format(
            address=f"{self.listen}:{self.port}", check=self.check, identity=self.identity
        )
        (self.folder / "haproxy.cfg").write_text(head + servers)

    def command(self) -> Sequence[str]:
        return ("/usr/sbin/haproxy", "-db", "-f", str(self.folder / "haproxy.cfg"))


class RamdiskBalancer(HAProxy):
    """The same before what the APIs offer to ramdisks, on a network that is a namespace here.

    There is no /readyz: that an API answers at all must do.
    """

    name = "HAProxy for ramdisks"
    # It takes root to enter a namespace; once its port is open it becomes the other user itself.
    user = ""
    identity = "    user haproxy\n    group haproxy\n"
    check = "/v1"

    def __init__(
        self, folder: Path, port: int, apis: Sequence[int], *, listen: str, namespace: Namespace
    ) -> None:
        super().__init__(folder, port, apis, listen=listen)
        self._namespace = namespace

    def command(self) -> Sequence[str]:
        return self._namespace.command(list(super().command()))

    def is_open(self) -> bool:
        return self._namespace.call(lambda: port_is_open(self.port, self.listen))


# A request that reached no API is sent to the other one; one that may have is not. Answers
# that stream (events) are silent for up to 15 seconds between two signs of life.
_CONFIGURATION = """\
global
    maxconn 4096
{identity}defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout http-request 30s
    retries 3
    option redispatch 1
    retry-on conn-failure
    option httpchk GET {check}
    default-server observe layer4 error-limit 5 on-error mark-down
frontend drophammer
    bind {address}
    default_backend apis
backend apis
    balance leastconn
"""
