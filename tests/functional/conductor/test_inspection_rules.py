"""Inspection rules at the end of a real inspection."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import event, select

from drophammer import events, inventories
from drophammer.model import InspectionRule, NodeTrait, Port, new_uuid


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
