"""Work that is cut off, or that meets somebody else's: what must come out all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import OperationalError

from conductor.begin import begin
from conductor.drivers.base import Known
from conductor.drivers.fake.bios import FakeBios
from conductor.drivers.fake.power import FakePower
from drophammer import boots, events
from drophammer.errors import BmcUnreachable, LeaseLost, NodeLocked, Unavailable
from drophammer.model import Event, Node, Step
from drophammer.purposes import GOING_ON
from tests import databases

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}


class Outage:
    """The database goes away for a thread: with a statement, or with what it does after it."""

    def __init__(self, scene: Any, met: Callable[[str], bool], *, at_once: bool) -> None:
        self.hits = 0
        self._met, self._at_once = met, at_once
        self._thread: int | None = None
        event.listen(scene.store.engine, "before_cursor_execute", self._statement)
        event.listen(scene.store.engine, "begin", self._begin)

    def _statement(self, connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if self.hits == 0 and self._met(statement):
            self.hits += 1
            self._thread = threading.get_ident()
            if self._at_once:
                raise OperationalError(statement, {}, Exception("gone"))

    def _begin(self, connection: Any) -> None:
        if self._thread == threading.get_ident():
            self.hits += 1
            self._thread = None
            raise OperationalError("BEGIN", {}, Exception("gone"))


def in_clean_wait(scene: Any) -> int:
    scene.start(**FILES)
    node_id: int = scene.machine("manageable")
    scene.provision(node_id, "provide")
    assert scene.until_state(node_id, "clean wait").power_state == "power on"
    return node_id


def boots_ramdisk(scene: Any, node_id: int) -> bool:
    with scene.store.read() as session:
        return boots.is_set(session, node_id)


def told(scene: Any, node_id: int) -> str:
    with scene.store.read() as session:
        return "\n".join(event.message for event in events.of_node(session, node_id, 0, 500))


def test_a_clean_up_that_is_cut_off_still_leaves_the_machine_off(scene: Any, caplog: Any) -> None:
    node_id = in_clean_wait(scene)
    outage = Outage(scene, lambda sql: sql.startswith("DELETE FROM boot_spec"), at_once=False)
    scene.provision(node_id, "abort")
    scene.until(node_id, lambda node: "work was interrupted" in caplog.text)
    assert outage.hits == 2
    scene.process.periodic.sweep()
    node = scene.until_state(node_id, "clean failed")
    assert node.power_state == "power off"
    assert not boots_ramdisk(scene, node_id)


class Dazed(FakePower):
    """Has no answer for a while once it has switched; who told it to is not there to see it."""

    told = silent = 0

    def send(self, node: Node, action: str) -> None:
        super().send(node, action)
        type(self).told += 1
        if self.told == 1:
            type(self).silent = 2
            raise LeaseLost("somebody else goes on with it")

    def state(self, node: Node) -> str:
        if self.silent:
            type(self).silent -= 1
            raise BmcUnreachable("no answer")
        return super().state(node)


@pytest.mark.parametrize("meant", [True, False])
def test_who_takes_up_a_command_that_may_have_been_sent_is_patient_with_its_silence(
    scene: Any, meant: bool
) -> None:
    process = scene.start(retry_seconds=0.05)
    Dazed.told = Dazed.silent = 0
    process.box.drivers.types["fake-hardware"].interfaces["power"]["fake"] = Dazed
    node_id = scene.node("active", power_state="power on")
    scene.provision(node_id, "deleted")
    scene.until(node_id, lambda _: Dazed.told == 1, free=False)
    with scene.store.write() as session:
        if not meant:  # As if nobody had written down what was to come.
            session.execute(update(Step).values(cursor={}))
        session.get_one(Node, node_id).lease_expires = scene.store.clock.now()
    process.periodic.sweep()
    node = scene.until(node_id, lambda node: node.operation_id is None)
    if meant:
        assert (node.provision_state, node.power_state) == ("available", "power off")
    else:
        assert "no answer" in node.last_error


def test_a_controller_that_fails_does_not_keep_the_boot_spec(scene: Any) -> None:
    node_id = in_clean_wait(scene)
    with scene.store.write() as session:
        session.get_one(Node, node_id).driver_info = {"fake_fault": {"power": "it sulks"}}
    scene.provision(node_id, "abort")
    scene.until_state(node_id, "clean failed")
    assert "Clean-up after the failure" in told(scene, node_id)
    assert "it sulks" in told(scene, node_id)
    assert not boots_ramdisk(scene, node_id)


def family(scene: Any, step: str) -> tuple[int, int, Callable[[], None]]:
    """(parent, child, what has the parent do a power step on the child)."""
    parent = scene.node("manageable")
    child = scene.node("manageable", parent_node=scene.get(parent).uuid)
    steps = [{"interface": "power", "step": step, "execute_on_child_nodes": True}]
    return parent, child, lambda: scene.provision(parent, "clean", clean_steps=steps)


def test_a_child_that_is_held_for_a_moment_is_waited_for(scene: Any) -> None:
    scene.start(fake_delays={"management": (0.4, 0.4)})
    parent, child, start = family(scene, "power_on")
    scene.bus.call("conductor", "set_boot_mode", node_id=child, mode="uefi")
    start()
    node = scene.until(parent, lambda node: node.operation_id is None)
    assert (node.provision_state, node.last_error) == ("manageable", None)
    assert scene.get(child).power_state == "power on"


def test_a_child_whose_power_operation_was_replaced_has_not_done_the_step(scene: Any) -> None:
    scene.start(fake_delays={"power": (0.6, 0.6)})
    parent, child, start = family(scene, "power_on")
    start()
    scene.until(child, lambda node: node.target_power_state == "power on", free=False)
    scene.bus.call("conductor", "power", node_id=child, target="power off")
    node = scene.until_state(parent, "clean failed")
    said = f"{scene.get(child).uuid}: 'power on' was given up for 'power off' after"
    assert said in node.last_error


def test_a_finished_bios_step_is_not_repeated_when_its_settings_cannot_be_kept(
    scene: Any, caplog: Any
) -> None:
    scene.start()
    node_id = scene.node("manageable")
    reads = []

    def met(sql: str) -> bool:
        if sql.startswith("SELECT") and "bios_settings.attribute_type" in sql:
            reads.append(sql)
        return len(reads) == 2  # The first is the step's own.

    outage = Outage(scene, met, at_once=True)
    steps = [{"interface": "bios", "step": "factory_reset"}]
    scene.provision(node_id, "clean", clean_steps=steps)
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert (node.provision_state, outage.hits) == ("manageable", 2)
    assert "work was interrupted" not in caplog.text
    assert "could not be told" in caplog.text


class Wordy(FakeBios):
    """Has a setting whose name fits into no column; a server takes it for an error."""

    def settings(self, node: Node, known: Known) -> list[dict[str, Any]]:
        return [*super().settings(node, known), {"name": "x" * 300, "value": "1"}]


def test_settings_that_the_database_does_not_take_do_not_keep_a_node_from_being_managed(
    scene: Any,
) -> None:
    if databases.SERVER is None:  # sqlite takes all that it is given.
        refusal = "BEGIN SELECT RAISE(ABORT, 'not this'); END"
        with scene.store.write() as session:
            session.execute(text(f"CREATE TRIGGER no BEFORE INSERT ON bios_settings {refusal}"))
    process = scene.start()
    process.box.drivers.types["fake-hardware"].interfaces["bios"]["fake"] = Wordy
    node_id = scene.node("enroll")
    scene.provision(node_id, "manage")
    scene.until(node_id, lambda node: node.provision_state == "manageable")
    with scene.store.read() as session:
        told = session.scalars(select(Event.message).where(Event.node_id == node_id)).all()
    assert [line for line in told if "could not be kept" in line] != []


def test_a_call_for_which_no_thread_starts_is_refused_and_never_done(scene: Any) -> None:
    process = scene.start()
    node_id, other = scene.node("manageable"), scene.node("manageable")
    usual = threading.stack_size(1 << 47)  # More than there are addresses.
    try:
        with pytest.raises(Unavailable, match="could not start a thread"):
            process.service.set_boot_mode(node_id, "uefi")
    finally:
        threading.stack_size(usual)
    assert scene.get(node_id).lease_owner is None
    process.service.set_boot_mode(other, "uefi")  # On a thread that finds both in the queue.
    scene.until(other, lambda node: node.boot_mode == "uefi")
    assert scene.get(node_id).boot_mode is None


def with_power_operation(scene: Any, purpose: str) -> int:
    """A node whose power operation is unfinished, and which is held for ``purpose``."""
    box = scene.start().box
    node_id: int = scene.node("active", power_state="power on")
    task = begin(
        box,
        node_id,
        verb="power off",
        flow="power",
        event=None,
        request={"target": "power off", "timeout": None},
        check=lambda node: {},
    )
    with scene.store.write() as session:
        scene.store.release(session, task.lease)
        scene.store.reserve(session, node_id, box.holder, purpose)
    return node_id


def test_a_power_request_does_not_take_the_node_from_a_call_to_its_controller(scene: Any) -> None:
    node_id = with_power_operation(scene, "set boot mode")
    with pytest.raises(NodeLocked, match="held for: set boot mode"):
        scene.bus.call("conductor", "power", node_id=node_id, target="power on")
    assert scene.get(node_id).lease_purpose == "set boot mode"


@pytest.mark.parametrize("purpose", ["power off", GOING_ON])
def test_a_power_request_replaces_a_power_operation_that_is_worked_on(
    scene: Any, purpose: str
) -> None:
    node_id = with_power_operation(scene, purpose)
    scene.bus.call("conductor", "power", node_id=node_id, target="rebooting")
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert (node.power_state, node.last_error) == ("power on", None)
