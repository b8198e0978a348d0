"""A machine whose ramdisk never speaks: it is booted again, and not for ever."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy import select

from conductor.steps.ramdisk import MAX_BOOTS
from drophammer import events, operations
from drophammer.model import Agent, Inventory, Node, Step
from tests.functional.conductor.test_sweeps import change, to_wait

PATIENCE = 300


def powers(scene: Any, node_id: int) -> list[str]:
    """What was told of the machine's power and of its boots, oldest first."""
    with scene.store.read() as session:
        found = events.of_node(session, node_id, 0, 500)
    return [event.message for event in found if event.kind in ("power", "boot")]


def booted(scene: Any, node_id: int) -> Step:
    """The step under way."""
    with scene.store.read() as session:
        return session.scalars(
            select(Step).where(Step.state == operations.RUNNING).order_by(Step.id.desc())
        ).first()


def is_silent(scene: Any, node_id: int, seconds: float) -> None:
    """So much time has passed since the machine was switched on, and somebody looks."""
    past = scene.store.clock.now() - datetime.timedelta(seconds=seconds)
    with scene.store.write() as session:
        step = session.get_one(Step, booted(scene, node_id).id)
        step.started_at = past
        step.cursor = {**step.cursor, "booted": past.isoformat()}
    scene.process.periodic.sweep()


def until_boot(scene: Any, node_id: int, number: int, state: str) -> None:
    def there(node: Node) -> bool:
        cursor = booted(scene, node_id).cursor
        return (
            node.provision_state == state
            and cursor.get("boots", 1) == number
            and cursor["stage"] == "booting"
        )

    scene.until(node_id, there)


def test_a_machine_that_does_not_come_up_is_booted_again_and_goes_on(
    scene: Any, agent: Any
) -> None:
    node_id = to_wait(scene, boot_retry_timeout=PATIENCE)
    first = powers(scene, node_id)
    is_silent(scene, node_id, PATIENCE + 1)
    until_boot(scene, node_id, 2, "clean wait")
    assert powers(scene, node_id)[len(first) :] == [
        f"the ramdisk did not call back within {PATIENCE} s: boot 2 of {MAX_BOOTS}",
        "is off",
        "clean ramdisk over ipxe is prepared",
        "is on",
    ]
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_it_is_not_booted_for_ever(scene: Any) -> None:
    node_id = to_wait(scene, boot_retry_timeout=PATIENCE)
    for number in range(2, MAX_BOOTS + 1):
        is_silent(scene, node_id, PATIENCE + 1)
        until_boot(scene, node_id, number, "clean wait")
    told = powers(scene, node_id)
    deadline = scene.get(node_id).deadline
    is_silent(scene, node_id, PATIENCE + 1)
    assert powers(scene, node_id) == told
    assert scene.get(node_id).deadline == deadline


@pytest.mark.parametrize(
    ("patience", "seconds", "columns"),
    [(PATIENCE, PATIENCE - 60, {}), (0, 10_000, {}), (PATIENCE, 10_000, {"maintenance": True})],
    ids=["too early", "switched off", "in maintenance"],
)
def test_it_is_left_alone(
    scene: Any, patience: int, seconds: float, columns: dict[str, Any]
) -> None:
    node_id = to_wait(scene, boot_retry_timeout=patience)
    told = powers(scene, node_id)
    change(scene, node_id, **columns)
    is_silent(scene, node_id, seconds)
    assert scene.get(node_id).lease_owner is None
    assert powers(scene, node_id) == told


def test_a_machine_whose_ramdisk_has_spoken_is_left_alone(scene: Any, agent: Any) -> None:
    node_id = to_wait(scene, boot_retry_timeout=PATIENCE)
    told = powers(scene, node_id)
    with scene.store.write() as session:
        session.get_one(Agent, node_id).url = agent.url
    is_silent(scene, node_id, PATIENCE + 1)
    assert powers(scene, node_id) == told


def test_an_inspection_begins_again_too(scene: Any) -> None:
    files = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
    scene.start(**files, heartbeat_interval=1000, sweep_interval=1000, boot_retry_timeout=PATIENCE)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    is_silent(scene, node_id, PATIENCE + 1)
    until_boot(scene, node_id, 2, "inspect wait")
    with scene.store.write() as session:
        now = scene.store.clock.now()
        session.add(Inventory(node_id=node_id, inventory={}, plugin_data={}, created_at=now))
    scene.bus.cast("conductor", "inspected", node_id=node_id)
    scene.until_state(node_id, "manageable")
