"""VIFs on ports and portgroups: which one gets it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.errors import Conflict, Invalid, NodeLocked
from drophammer.model import Port, Portgroup, new_uuid
from drophammer.store import Holder


def call(scene: Any, method: str, /, **arguments: Any) -> Any:
    return scene.bus.call("conductor", method, **arguments)


def add_port(scene: Any, node_id: int, number: int, **fields: Any) -> str:
    uuid = new_uuid()
    with scene.store.write() as session:
        session.add(
            Port(
                uuid=uuid,
                node_id=node_id,
                address=f"52:54:00:00:00:{number:02x}",
                created_at=scene.store.clock.now(),
                **fields,
            )
        )
    return uuid


def add_group(scene: Any, node_id: int, **fields: Any) -> str:
    uuid = new_uuid()
    with scene.store.write() as session:
        created = scene.store.clock.now()
        session.add(Portgroup(uuid=uuid, node_id=node_id, created_at=created, **fields))
    return uuid


def attach(scene: Any, node_id: int, vif: str, **info: Any) -> None:
    call(scene, "attach_vif", node_id=node_id, info={"id": vif, **info})


def vif_of(scene: Any, table: type[Any], uuid: str) -> str | None:
    with scene.store.read() as session:
        row = session.query(table).filter_by(uuid=uuid).one()
        found: str | None = row.internal_info.get("tenant_vif_port_id")
        return found


@pytest.fixture
def node_id(scene: Any) -> int:
    scene.start()
    return int(scene.node("active", network_interface="flat"))


def test_a_vif_is_attached_listed_and_detached(scene: Any, node_id: int) -> None:
    port = add_port(scene, node_id, 1)
    attach(scene, node_id, "vif-1")
    assert call(scene, "list_vifs", node_id=node_id) == [{"id": "vif-1"}]
    assert vif_of(scene, Port, port) == "vif-1"
    call(scene, "detach_vif", node_id=node_id, vif="vif-1")
    assert call(scene, "list_vifs", node_id=node_id) == []
    with pytest.raises(Invalid, match="vif-1 is not attached"):
        call(scene, "detach_vif", node_id=node_id, vif="vif-1")


def test_portgroups_come_first_then_ports_that_boot_from_the_network(
    scene: Any, node_id: int
) -> None:
    last = add_port(scene, node_id, 1, pxe_enabled=False)
    second = add_port(scene, node_id, 2)
    first = add_group(scene, node_id)
    for vif in ("a", "b", "c"):
        attach(scene, node_id, vif)
    assert vif_of(scene, Portgroup, first) == "a"
    assert vif_of(scene, Port, second) == "b"
    assert vif_of(scene, Port, last) == "c"
    with pytest.raises(Invalid, match="no free port for VIF d"):
        attach(scene, node_id, "d")


def test_a_port_of_a_portgroup_is_not_taken_alone_unless_the_group_allows_it(
    scene: Any, node_id: int
) -> None:
    group = add_group(scene, node_id, standalone_ports_supported=False)
    add_port(scene, node_id, 1, portgroup_uuid=group)
    attach(scene, node_id, "a")
    with pytest.raises(Invalid, match="no free port"):
        attach(scene, node_id, "b")


def test_the_asked_port_gets_it_or_nobody(scene: Any, node_id: int) -> None:
    add_port(scene, node_id, 1)
    asked = add_port(scene, node_id, 2)
    group = add_group(scene, node_id)
    attach(scene, node_id, "a", port_uuid=asked)
    assert vif_of(scene, Port, asked) == "a"
    with pytest.raises(Conflict, match="has a VIF already"):
        attach(scene, node_id, "b", port_uuid=asked)
    with pytest.raises(Invalid, match="no port 0"):
        attach(scene, node_id, "b", port_uuid="0")
    with pytest.raises(Invalid, match="cannot be used together"):
        attach(scene, node_id, "b", port_uuid=asked, portgroup_uuid=group)


def test_a_vif_is_attached_once(scene: Any, node_id: int) -> None:
    add_port(scene, node_id, 1)
    add_port(scene, node_id, 2)
    attach(scene, node_id, "a")
    with pytest.raises(Conflict, match=r"a is already attached to the port 52:54"):
        attach(scene, node_id, "a")
    assert scene.get(node_id).lease_owner is None


def test_a_node_that_somebody_holds_keeps_its_vifs(scene: Any, node_id: int) -> None:
    add_port(scene, node_id, 1)
    with scene.store.write() as session:
        scene.store.reserve(session, node_id, Holder("other", "host-b"), "rescue")
    with pytest.raises(NodeLocked):
        attach(scene, node_id, "a")
    assert call(scene, "list_vifs", node_id=node_id) == []


def test_the_noop_network_takes_everything_and_remembers_nothing(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", network_interface="noop")
    attach(scene, node_id, "a")
    assert call(scene, "list_vifs", node_id=node_id) == []
    call(scene, "detach_vif", node_id=node_id, vif="a")
