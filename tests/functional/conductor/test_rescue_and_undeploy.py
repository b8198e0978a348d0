"""Rescue and its password; what undeploying forgets; retired nodes."""

from __future__ import annotations

import json
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, text

from drophammer.errors import Invalid
from drophammer.model import Allocation, Operation, Port, Portgroup, new_uuid

PASSWORD = "hunter2-rescue"


def everything(scene: Any) -> str:
    """All that is written anywhere."""
    with scene.store.read() as session:
        tables = session.scalars(text("select name from sqlite_master where type = 'table'")).all()
        rows = [session.execute(text(f'select * from "{name}"')).all() for name in tables]
    return json.dumps([[list(map(str, row)) for row in table] for table in rows])


def test_a_node_is_rescued_and_comes_back_and_the_password_is_gone(
    scene: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    scene.start(fake_delays={"rescue": (0.2, 0.2)})
    node_id = scene.node("active", instance_info={"image_source": "x"})
    scene.provision(node_id, "rescue", rescue_password=PASSWORD)
    node = scene.get(node_id)
    assert node.instance_info["rescue_password"] == PASSWORD
    hashed = node.instance_info["hashed_rescue_password"]
    assert bcrypt.checkpw(PASSWORD.encode(), hashed.encode())
    node = scene.until_state(node_id, "rescue")
    assert node.instance_info == {"image_source": "x"}
    assert node.target_provision_state is None
    scene.provision(node_id, "unrescue")
    node = scene.until_state(node_id, "active")
    assert node.last_error is None
    assert PASSWORD not in everything(scene)
    assert PASSWORD not in caplog.text
    assert hashed not in caplog.text


def test_a_failed_rescue_keeps_no_password(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", driver_info={"fake_fault": {"rescue": "no answer"}})
    scene.provision(node_id, "rescue", rescue_password=PASSWORD)
    node = scene.until_state(node_id, "rescue failed")
    assert "no answer" in node.last_error
    assert node.instance_info == {}
    assert node.target_provision_state == "rescue"
    assert not node.maintenance
    assert PASSWORD not in everything(scene)


@pytest.mark.parametrize("password", [None, "", "  ", "x" * 73, "a\0b"])
def test_a_password_that_no_system_takes_is_refused(scene: Any, password: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    with pytest.raises(Invalid, match="rescue_password"):
        scene.provision(node_id, "rescue", rescue_password=password)
    assert scene.get(node_id).provision_state == "active"


def test_a_node_that_cannot_be_rescued_says_so(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", rescue_interface="no-rescue")
    with pytest.raises(Invalid, match="does not support rescue"):
        scene.provision(node_id, "rescue", rescue_password=PASSWORD)


def test_undeploying_forgets_instance_networks_and_allocation(scene: Any) -> None:
    scene.start()
    now = scene.store.clock.now()
    allocation = new_uuid()
    with scene.store.write() as session:
        session.add(Allocation(uuid=allocation, state="active", resource_class="x", created_at=now))
    node_id = scene.node(
        "active",
        instance_uuid=allocation,
        instance_name="web",
        instance_info={"a": 1},
        allocation_uuid=allocation,
    )
    with scene.store.write() as session:
        session.add_all(
            [
                Port(
                    uuid=new_uuid(),
                    node_id=node_id,
                    address=f"52:54:00:00:00:0{number}",
                    internal_info=info,
                    created_at=now,
                )
                for number, info in enumerate(({"tenant_vif_port_id": "v", "kept": 1}, {}))
            ]
        )
        session.add(
            Portgroup(
                uuid=new_uuid(),
                node_id=node_id,
                internal_info={"tenant_vif_port_id": "w"},
                created_at=now,
            )
        )
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "available")
    assert (node.instance_uuid, node.instance_name, node.instance_info, node.allocation_uuid) == (
        None, None, {}, None,
    )  # fmt: skip
    with scene.store.read() as session:
        assert session.scalars(select(Allocation)).all() == []
        infos = session.scalars(select(Port.internal_info).order_by(Port.address)).all()
        assert infos == [{"kept": 1}, {}]
        assert session.scalars(select(Portgroup.internal_info)).all() == [{}]


def test_a_failed_undeploy_forgets_the_instance_too(scene: Any) -> None:
    scene.start()
    node_id = scene.node(
        "active",
        instance_uuid=new_uuid(),
        instance_info={"secret": 1},
        driver_info={"fake_fault": {"power": "no answer"}},
    )
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "error")
    assert "no answer" in node.last_error
    assert (node.instance_uuid, node.instance_info) == (None, {})


def test_a_rescued_node_can_be_deleted(scene: Any) -> None:
    scene.start()
    node_id = scene.node("rescue")
    scene.provision(node_id, "deleted")
    scene.until_state(node_id, "available")


def test_a_retired_node_ends_cleaning_in_manageable(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", retired=True)
    scene.provision(node_id, "deleted")
    node = scene.until(
        node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None
    )
    assert node.target_provision_state is None
    with pytest.raises(Invalid, match="retired"):
        scene.provision(node_id, "provide")


def test_a_request_is_journalled_without_its_password(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    scene.provision(node_id, "rescue", rescue_password=PASSWORD, user="ann")
    scene.until_state(node_id, "rescue")
    with scene.store.read() as session:
        assert [op.request for op in session.scalars(select(Operation))] == [{"user": "ann"}]
