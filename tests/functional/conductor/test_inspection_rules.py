"""Inspection rules at the end of a real inspection."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import event, select

from drophammer import events, inventories
from drophammer.model import INTERFACES, InspectionRule, NodeTrait, Port, new_uuid
from tests.databases import only_sqlite


def rule(scene: Any, *actions: dict[str, Any], conditions: Any = (), **fields: Any) -> str:
    uuid = new_uuid()
    with scene.store.write() as session:
        session.add(
            InspectionRule(
                uuid=uuid,
                conditions=list(conditions),
                actions=list(actions),
                created_at=scene.store.clock.now(),
                **fields,
            )
        )
    return uuid


def act(op: str, **args: Any) -> dict[str, Any]:
    return {"op": op, "args": args}


def inspected(scene: Any, state: str = "manageable", **fields: Any) -> Any:
    scene.start()
    node_id = scene.node("manageable", **fields)
    scene.provision(node_id, "inspect")
    return scene.until(node_id, lambda n: n.provision_state == state and n.operation_id is None)


def test_a_rule_that_holds_changes_node_traits_ports_and_data(scene: Any) -> None:
    big = {"op": "gt", "args": {"values": ["{inventory[cpu][count]}", 1]}}
    rule(
        scene,
        act("set-attribute", path="/extra/cpus", value="{inventory[cpu][count]}"),
        act("set-attribute", path="/resource_class", value="big"),
        act("set-capability", name="boot_mode", value="uefi"),
        act("add-trait", name="CUSTOM_BIG"),
        act("set-plugin-data", path="seen", value=True),
        act("log", msg="found {inventory[hostname]} {node.provision_state}"),
        conditions=[big],
    )
    rule(scene, act("fail", msg="x"), conditions=[{**big, "op": "!gt"}])
    node = inspected(scene)
    assert node.extra == {"cpus": "2"}
    assert node.resource_class == "big"
    assert node.properties == {"cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"}
    with scene.store.read() as session:
        assert session.scalars(select(NodeTrait.trait)).all() == ["CUSTOM_BIG"]
        found = inventories.of_node(session, node.id)
        assert found is not None
        assert found.plugin_data == {"seen": True}
        told = [e.message for e in events.of_node(session, node.id, 0, 100) if e.kind == "rule"]
    assert told == ["found fake inspecting"]


def test_a_rule_changes_a_port(scene: Any) -> None:
    rule(
        scene,
        act("set-port-attribute", port_id="52:54:00:00:00:07", path="physical_network", value="a"),
    )
    scene.start()
    node_id = scene.node("manageable")
    with scene.store.write() as session:
        session.add(
            Port(
                uuid=new_uuid(),
                node_id=node_id,
                address="52:54:00:00:00:07",
                created_at=scene.store.clock.now(),
            )
        )
    scene.provision(node_id, "inspect")
    scene.until(node_id, lambda n: n.inspection_finished_at is not None)
    with scene.store.read() as session:
        assert session.scalars(select(Port.physical_network)).all() == ["a"]


def test_a_failing_rule_fails_the_inspection_with_its_name_and_changes_nothing(scene: Any) -> None:
    uuid = rule(
        scene,
        act("set-attribute", path="/extra/x", value=1),
        act("fail", msg="only {inventory[cpu][count]} CPUs"),
        description="no small ones",
    )
    node = inspected(scene, "inspect failed")
    assert f"{uuid} (no small ones)" in node.last_error
    assert "only 2 CPUs" in node.last_error
    assert node.extra == {}
    assert node.inspection_started_at is None


def test_a_sensitive_rule_shows_nothing_of_its_values(scene: Any, caplog: Any) -> None:
    rule(scene, act("fail", msg="hunter2"), sensitive=True)
    node = inspected(scene, "inspect failed")
    assert "sensitive" in node.last_error
    assert "hunter2" not in node.last_error + caplog.text


def test_a_name_that_is_taken_fails_the_inspection_in_words(scene: Any) -> None:
    rule(scene, act("set-attribute", path="/name", value="taken"))
    scene.node(name="taken")
    node = inspected(scene, "inspect failed")
    assert "taken by another node" in node.last_error


def test_a_name_that_no_request_could_give_fails_the_inspection(scene: Any) -> None:
    rule(scene, act("set-attribute", path="/name", value="{inventory[hostname]}/x"))
    node = inspected(scene, "inspect failed")
    assert "'fake/x' cannot be the name of a node" in node.last_error
    assert node.name is None


@only_sqlite
def test_a_value_that_the_database_cannot_hold_fails_the_inspection_in_words(scene: Any) -> None:
    # What a database takes differs; this one is made to take little.
    @event.listens_for(scene.store.engine, "checkout")
    def narrow(connection: sqlite3.Connection, *_: Any) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)

    wide = "{inventory[hostname]:>999}" * 300
    uuid = rule(scene, act("set-attribute", path="/extra/x", value=wide))
    node = inspected(scene, "inspect failed")
    assert "not what the database can hold" in node.last_error
    assert uuid in node.last_error
    assert node.extra == {}


def test_a_rule_that_loops_over_nothing_does_nothing(scene: Any) -> None:
    rule(scene, {**act("fail", msg="x"), "loop": []})
    assert inspected(scene).last_error is None


def set_to(path: str, value: Any) -> dict[str, Any]:
    return act("set-attribute", path=path, value=value)


FAKE = {f"{kind}_interface": "fake" for kind in INTERFACES if kind != "network"}


def test_a_rule_gives_a_node_another_driver_and_with_it_the_interfaces_that_follow(
    scene: Any,
) -> None:
    rule(
        scene,
        set_to("/driver", "ipmi"),
        set_to("/driver_info/ipmi_address", "192.0.2.7"),
        set_to("/deploy_interface", "direct"),
    )
    node = inspected(scene, **FAKE | {"boot_interface": "pxe", "network_interface": "flat"})
    assert (node.driver, node.driver_info) == ("ipmi", {"ipmi_address": "192.0.2.7"})
    # Said by the rule, kept because the new driver has it too, and not had by it.
    assert (node.deploy_interface, node.boot_interface) == ("direct", "pxe")
    assert (node.power_interface, node.console_interface) == ("ipmitool", "no-console")
    assert node.network_interface == "flat"
    with scene.store.read() as session:
        told = [e.message for e in events.of_node(session, node.id, 0, 100) if e.kind == "rule"]
    assert len(told) == 1
    assert told[0].startswith("driver ipmi with bios no-bios, boot pxe, console no-console, deploy")


def test_a_rule_chooses_an_interface_or_leaves_the_choice_to_the_driver(scene: Any) -> None:
    rule(
        scene, set_to("/deploy_interface", "ramdisk"), act("del-attribute", path="/bios_interface")
    )
    node = inspected(scene, deploy_interface="direct", bios_interface="no-bios")
    assert (node.driver, node.deploy_interface) == ("fake-hardware", "ramdisk")
    assert (node.bios_interface, node.power_interface) == ("fake", None)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/driver", "abacus", "does not have the driver 'abacus'; it has fake-hardware"),
        ("/driver", "", "does not have the driver ''"),
        ("/power_interface", "ipmitool", "'ipmitool' is not enabled for the driver"),
    ],
)
def test_a_driver_or_interface_that_cannot_be_fails_the_inspection_in_words(
    scene: Any, path: str, value: str, said: str
) -> None:
    uuid = rule(scene, set_to("/extra/x", 1), set_to(path, value))
    node = inspected(scene, "inspect failed")
    assert said in node.last_error
    assert uuid in node.last_error
    assert (node.driver, node.power_interface, node.extra) == ("fake-hardware", None, {})


def test_a_driver_stays_while_the_console_is_on(scene: Any) -> None:
    rule(scene, set_to("/driver", "ipmi"))
    node = inspected(scene, "inspect failed", console_enabled=True)
    assert "while its console is enabled" in node.last_error
    assert node.driver == "fake-hardware"


def test_a_sensitive_rule_does_not_show_the_driver_that_it_chose(scene: Any, caplog: Any) -> None:
    rule(scene, set_to("/driver", "hunter2"), sensitive=True)
    node = inspected(scene, "inspect failed")
    assert "sensitive" in node.last_error
    assert "hunter2" not in node.last_error + caplog.text


def test_a_rule_that_writes_true_for_one_has_changed_something(scene: Any) -> None:
    rule(scene, set_to("/extra/a", True), act("set-plugin-data", path="b", value=1.0))
    node = inspected(scene, extra={"a": 1})
    assert node.extra == {"a": True}
    assert node.extra["a"] is True
