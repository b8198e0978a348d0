"""The command ``baremetal``: that it is the real one, and that all of it is tried."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import openstack
import pytest

from tests.contract.api.cli import Baremetal, Complaint, client

COMMANDS = sorted(
    point.name.removeprefix("baremetal_").replace("_", " ")
    for point in entry_points(group="openstack.baremetal.v1")
)
# Older spellings of `node trait add` and `node trait remove`.
SAME = {"node add trait", "node remove trait"}


@pytest.fixture
def baremetal(service) -> Baremetal:
    return Baremetal(service.environment)


def test_the_installed_command_does_as_the_same_call_in_this_process(baremetal) -> None:
    made = baremetal("node create --driver fake-hardware --name cli-process")
    assert made["provision_state"] == "enroll"
    baremetal.process("node manage cli-process --wait 60")
    shown = baremetal.process("node show cli-process")
    assert shown["provision_state"] == "manageable"
    assert shown == baremetal("node show cli-process")
    baremetal("node delete cli-process")


def test_the_installed_command_fails_with_our_words(baremetal) -> None:
    with pytest.raises(Complaint, match="Node nobody could not be found"):
        baremetal.process("node show nobody")


def test_a_refusal_is_shown_in_our_words(baremetal) -> None:
    with pytest.raises(Complaint, match="Node nobody could not be found"):
        baremetal("node show nobody")
    with pytest.raises(Complaint, match="no-such-driver"):
        baremetal("node create --driver no-such-driver")


def test_the_newest_version_is_negotiated_and_an_older_one_kept(baremetal) -> None:
    def at(version: str) -> Baremetal:
        return Baremetal(baremetal.environment | {"OS_BAREMETAL_API_VERSION": version})

    baremetal("node create --driver fake-hardware --name cli-versions")
    newest = baremetal("node show cli-versions")
    oldest = at("1.9")("node show cli-versions")
    assert newest["health"] is None
    assert "health" not in oldest
    assert oldest["name"] == "cli-versions"
    with pytest.raises(Complaint, match=r"(?s)1\.999.*1\.115"):
        at("1.999")("node list")
    baremetal("node delete cli-versions")


@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning")
def test_the_library_works_at_its_own_version(service) -> None:
    with openstack.connect(load_yaml_config=False, load_envvars=False, **service.cloud) as cloud:
        session, told = cloud.session, {"endpoint_override": service.url}
        library = client.get_client(1, session=session, **told)
        node = library.node.create(driver="fake-hardware", name="cli-library")
        # Below 1.11 nodes begin their life available.
        assert (node.provision_state, hasattr(node, "traits")) == ("available", False)
        patch = [{"op": "add", "path": "/extra/a", "value": 1}]
        assert library.node.update("cli-library", patch).extra == {"a": 1}
        assert "cli-library" in [one.name for one in library.node.list()]
        newest = client.get_client(1, session=session, os_ironic_api_version="1.115", **told)
        assert newest.node.get("cli-library").traits == []
        event = {"event": "network.bind_port", "port_id": node.uuid, "status": "ACTIVE"}
        event |= {"mac_address": "52:54:00:c5:00:01"}
        assert newest.events.create(events=[event]) is None
        library.node.delete("cli-library")


def test_every_command_is_tried() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_ironic*.py"))
    tried = set(re.findall(r'"(?:--\S+ \S+ )?([a-z][a-z -]+)', sources))
    missed = [
        command
        for command in COMMANDS
        if command not in SAME and not any(line.startswith(command) for line in tried)
    ]
    assert missed == []


def test_resources_are_created_from_a_file(baremetal, tmp_path: Path) -> None:
    name = f"cli-file-{baremetal.environment['OS_AUTH_TYPE']}"
    file = tmp_path / "rack.json"
    port = {"address": "52:54:00:c1:00:01"}
    node = {"name": name, "driver": "fake-hardware", "ports": [port]}
    chassis = {"description": name, "nodes": [node]}
    file.write_text(json.dumps({"chassis": [chassis]}))
    baremetal(f"create {file}")
    shown = baremetal(f"node show {name}")
    (port,) = baremetal(f"port list --node {shown['uuid']}")
    assert port["address"] == "52:54:00:c1:00:01"
    assert baremetal(f"chassis show {shown['chassis_uuid']}")["description"] == name
    baremetal(f"node delete {name}")
    baremetal(f"chassis delete {shown['chassis_uuid']}")
