"""Rescue and its password; what undeploying forgets; retired nodes."""

from __future__ import annotations

import json
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, text

from drophammer import events
from drophammer.errors import Invalid
from drophammer.model import Allocation, Base, Node, Operation, Port, Portgroup, Step, new_uuid

PASSWORD = "hunter2-rescue"


def everything(scene: Any) -> str:
    """All that is written anywhere."""
    with scene.store.read() as session:
        tables = Base.metadata.sorted_tables
        rows = [session.execute(text(f"select * from {table}")).all() for table in tables]
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
        (operation,) = session.scalars(select(Operation))
    assert operation.request == {"user": "ann", "begun_in": "active"}


def test_the_instance_has_no_say_in_how_its_disks_are_cleaned(scene: Any) -> None:
    scene.start()
    # As a tenant could set it: with this interface nothing would be erased.
    node_id = scene.machine("active", instance_info={"deploy_interface": "fake"})
    scene.provision(node_id, "deleted")
    # It is not "available" without having been in the ramdisk, for which there is no kernel.
    assert "no kernel" in scene.until_state(node_id, "clean failed").last_error
    with scene.store.read() as session:
        steps = session.scalars(select(Step.step).order_by(Step.position)).all()
    assert "boot_ramdisk" in steps


def test_a_crash_between_deleting_and_cleaning_is_gone_on_from(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", automated_clean=False)
    scene.provision(node_id, "deleted")
    scene.until_state(node_id, "available")
    scene.stop()
    # As a process leaves it that dies after it has written "cleaning".
    with scene.store.write() as session:
        operation = session.scalars(select(Operation)).one()
        steps = session.scalars(select(Step).order_by(Step.position)).all()
        steps[-1].state, steps[-1].finished_at = "running", None
        operation.state, operation.finished_at = "running", None
        operation.position = steps[-1].position
        node = session.get_one(Node, node_id)
        node.provision_state, node.target_provision_state = "cleaning", "available"
        node.operation_id = operation.id
    assert steps[-1].step == "begin_cleaning"
    scene.start()
    assert scene.until_state(node_id, "available").last_error is None


@pytest.mark.parametrize("fault", [None, "no answer"])
def test_undeploying_stops_the_console_or_tells_that_it_could_not(scene: Any, fault: Any) -> None:
    scene.start()
    faults = {"fake_fault": {"console": fault}} if fault else {}
    node_id = scene.node("active", console_enabled=True, driver_info=faults)
    scene.provision(node_id, "deleted")
    assert scene.until_state(node_id, "available").console_enabled
    with scene.store.read() as session:
        told = [e.message for e in events.of_node(session, node_id, 0, 100) if e.kind == "console"]
    assert len(told) == (1 if fault else 0)
    assert all("no answer" in text for text in told)
