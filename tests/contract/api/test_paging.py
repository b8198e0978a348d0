"""More of something than a page holds: which client goes on, and which sees one page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.api.cli import Baremetal
from tests.contract.api.gopher import Gopher
from tests.contract.api.service import Service, running

pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]
NAMES = [f"page-{number}" for number in range(5)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose pages hold two, with five nodes, each with a port."""
    more = "[api]\nmax_limit = 2\n"
    with running("http_basic", tmp_path_factory.mktemp("paging") / "service", more) as service:
        gopher = Gopher(service)
        for number, name in enumerate(NAMES):
            body = {"driver": "fake-hardware", "name": name, "owner": "me"}
            uuid = gopher.call("POST", "/nodes", body).body["uuid"]
            port = {"node_uuid": uuid, "address": f"52:54:00:da:00:0{number}"}
            gopher.call("POST", "/ports", port)
        gopher.close()
        yield service


def test_openstacksdk_goes_on_to_the_end(small: Service, connect) -> None:
    baremetal = connect(small)
    assert [node.name for node in baremetal.nodes()] == NAMES
    detailed = baremetal.nodes(details=True, provision_state="enroll", is_maintenance=False)
    assert [node.name for node in detailed] == NAMES
    assert len(list(baremetal.ports(details=True))) == 5


def test_the_command_goes_on_when_asked_for_all(small: Service) -> None:
    baremetal = Baremetal(small.environment)
    assert [row["name"] for row in baremetal("node list --limit 0")] == NAMES
    # What it got is sorted by the client itself.
    listed = baremetal("node list --limit 3 --owner me --fields name --sort name:desc")
    assert [row["name"] for row in listed] == NAMES[2::-1]
    assert len(baremetal("port list --limit 0 --long")) == 5
    assert [row["name"] for row in baremetal("node list")] == NAMES[:2]


def test_gophercloud_sees_the_first_page(small: Service) -> None:
    gopher = Gopher(small)
    told = gopher.get("/nodes?limit=4")
    assert [node["name"] for node in told["nodes"]] == NAMES[:2]
    assert set(told) == {"nodes", "next"}
    gopher.close()
