"""The API over real HTTP, for the clients that others wrote.

One service per way of asking for passwords serves all tests of a session: tests make
what they need under names of their own, and look only at that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import openstack
import pytest

from tests.contract.api import metal3
from tests.contract.api.gopher import Gopher
from tests.contract.api.service import MODES, Service, running


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Service]]:
    """The service of a mode; started when it is first asked for."""
    started: dict[str, Service] = {}
    folder = tmp_path_factory.mktemp("services")
    with ExitStack() as stack:

        def service(mode: str) -> Service:
            if mode not in started:
                started[mode] = stack.enter_context(running(mode, folder / mode))
            return started[mode]

        yield service


@pytest.fixture(scope="session", params=MODES)
def service(request: pytest.FixtureRequest, start) -> Service:
    """The service without passwords; in `make test` once more with them."""
    return start(request.param)


@pytest.fixture(scope="session")
def noauth(start) -> Service:
    return start("noauth")


@pytest.fixture(scope="session")
def guarded(start) -> Service:
    return start("http_basic")


@pytest.fixture(scope="session")
def connect() -> Iterator[Callable[[Service], Any]]:
    """openstacksdk's bare metal proxy to a service."""
    connections: dict[str, Any] = {}

    def baremetal(service: Service) -> Any:
        if service.url not in connections:
            connections[service.url] = openstack.connect(
                load_yaml_config=False, load_envvars=False, **service.cloud
            )
        return connections[service.url].baremetal

    yield baremetal
    for connection in connections.values():
        connection.close()


@pytest.fixture(scope="module", params=[89, None], ids=["oldest", "chosen"])
def gopher(request: pytest.FixtureRequest, service: Service) -> Iterator[Gopher]:
    """Metal3 at the oldest version that it works with, and at the one it chooses."""
    made = Gopher(service, request.param)
    yield made
    made.close()


@pytest.fixture
def register(gopher: Gopher) -> Iterator[Callable[..., str]]:
    """Make known a host to the service; it is deleted in the end."""
    uuids: list[str] = []

    def known(**more: Any) -> str:
        uuids.append(metal3.register(gopher, **more))
        return uuids[-1]

    yield known
    for uuid in uuids:
        metal3.remove(gopher, uuid)


@pytest.fixture
def manageable(gopher: Gopher, register: Callable[..., str]) -> str:
    """A host whose controller answers."""
    uuid = register()
    gopher.ask(uuid, "manage")
    gopher.until(uuid, "manageable")
    return uuid


@pytest.fixture
def active(gopher: Gopher, manageable: str) -> str:
    """A host that was deployed."""
    metal3.provide(gopher, manageable)
    metal3.deploy(gopher, manageable)
    return manageable
