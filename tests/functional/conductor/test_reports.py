"""What people are told of work that ended badly: essence first, nothing internal, no secret."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from conductor import report
from conductor.options import FAKE_KINDS
from drophammer import events, states
from drophammer.errors import BmcUnreachable, HardwareError
from drophammer.model import HistoryEntry, Node, Operation, Step

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
FORBIDDEN = ("Traceback", "object at 0x", "KeyError", "None", "<class", "hunter2")
LONGEST = 4100


class Broken:
    """Hardware that answers everything with one error; in the place of a fault of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def strike(self, node_uuid: str, kind: str) -> None:
        raise self.error


def named(interface: str, step: str, **args: Any) -> dict[str, Any]:
    return {"interface": interface, "step": step, "args": args}


def cleaned(interface: str, step: str, **args: Any) -> tuple[str, str, dict[str, Any]]:
    return "manageable", "clean", {"clean_steps": [named(interface, step, **args)]}


# Every step that fake hardware has: state, verb, what goes with it.
WORK = [
    ("enroll", "manage", {}),
    ("manageable", "inspect", {}),
    ("manageable", "provide", {}),
    cleaned("deploy", "erase_devices"),
    cleaned("power", "reset"),
    cleaned("power", "power_on"),
    cleaned("power", "power_off"),
    cleaned("power", "reboot"),
    cleaned("bios", "factory_reset"),
    cleaned("bios", "apply_configuration", settings=[{"name": "LogicalProc", "value": "x"}]),
    cleaned("raid", "delete_configuration"),
    cleaned("raid", "create_configuration"),
    cleaned("management", "reset_bmc"),
    cleaned("firmware", "update", settings=[{"component": "bmc", "url": "http://x/f-1.2.bin"}]),
    ("available", "active", {}),
    ("active", "rebuild", {}),
    ("active", "deleted", {}),
    ("active", "rescue", {"rescue_password": "hunter2"}),
    ("rescue", "unrescue", {}),
    ("active", "service", {"service_steps": [named("bios", "factory_reset")]}),
    ("manageable", "adopt", {}),
]
ERRORS = [
    HardwareError(f"The controller answered {None}, said <class 'x.Y'> and KeyError('a')"),
    BmcUnreachable("Traceback (most recent call last):\n  File x\nValueError: an object at 0x1f"),
    HardwareError("words\n" * 5000),
    KeyError("x"),
    ValueError(None),
    RecursionError("maximum recursion depth exceeded"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(111, "hunter2"),
    OSError("hunter2"),
]


def texts(scene: Any, node_id: int) -> list[str]:
    """All that people can read of what became of a node."""
    node = scene.get(node_id)
    with scene.store.read() as session:
        told = [event.message for event in events.of_node(session, node_id, 0, 500)]
        told += session.scalars(select(HistoryEntry.event).where(HistoryEntry.node_id == node_id))
        for operation in session.scalars(select(Operation).where(Operation.node_id == node_id)):
            told += [operation.error, operation.progress_message]
            steps = session.scalars(select(Step).where(Step.operation_id == operation.id))
            told += [step.error for step in steps]
    return [text for text in (*told, node.last_error, node.maintenance_reason) if text]


def entry(scene: Any, node_id: int) -> HistoryEntry:
    with scene.store.read() as session:
        return session.scalars(
            select(HistoryEntry)
            .where(HistoryEntry.node_id == node_id)
            .order_by(HistoryEntry.id.desc())
            .limit(1)
        ).one()


def failed(scene: Any, node_id: int) -> Node:
    return scene.until(  # type: ignore[no-any-return]
        node_id, lambda node: node.operation_id is None and node.last_error is not None
    )


# Every step with an error that was foreseen and with one that was not; the others with some.
@pytest.mark.parametrize(
    ("error", "work"),
    [(error, WORK if number in (0, 3) else WORK[:3]) for number, error in enumerate(ERRORS)],
    ids=lambda value: type(value).__name__,
)
def test_whatever_breaks_in_whichever_step_the_texts_are_for_people(
    scene: Any, error: Exception, work: list[tuple[str, str, dict[str, Any]]]
) -> None:
    scene.start(fake_faults=dict.fromkeys(FAKE_KINDS, Broken(error)), power_timeout=0.1)
    nodes = []
    for state, verb, request in work:
        node_id = scene.node(state, power_state="power on")
        scene.provision(node_id, verb, user="ann", **request)
        nodes.append(node_id)
    for node_id, (_, verb, _) in zip(nodes, work, strict=True):
        node = failed(scene, node_id)
        assert node.provision_state in report.WAYS_ON
        assert f"'{verb}'" in node.last_error
        assert entry(scene, node_id).event == node.last_error
        for text in texts(scene, node_id):
            assert not any(word in text for word in FORBIDDEN)
            assert len(text) < LONGEST
            assert text.isprintable()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_breaks_behind_an_answer_is_told_to_people_too(scene: Any, error: Exception) -> None:
    scene.start(fake_faults=dict.fromkeys(FAKE_KINDS, Broken(error)))
    node_id = scene.node("manageable")
    scene.bus.call("conductor", "set_boot_mode", node_id=node_id, mode="uefi")
    node = scene.until(node_id, lambda node: node.last_error is not None)
    assert "This was 'set boot mode', begun" in node.last_error
    assert "Nothing is retried by itself" in node.last_error
    assert not any(word in text for text in texts(scene, node_id) for word in FORBIDDEN)


def test_a_report_says_what_where_when_what_became_of_it_and_what_can_be_done(scene: Any) -> None:
    faults = {"fake_fault": {"deploy": "HardwareError: disk on fire"}}
    scene.start()
    node_id = scene.node("manageable", driver_info=faults, power_state="power on")
    steps = [named("power", "power_on"), named("deploy", "erase_devices")]
    scene.provision(node_id, "clean", clean_steps=steps)
    node = failed(scene, node_id)
    assert re.fullmatch(
        rf"Node {node.uuid}: the fake deploy interface failed: disk on fire\. "
        r"This was step 2 of 2 of 'clean' \(deploy\.erase_devices, driver 'fake-hardware'\), "
        r"begun at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC and ended after \d+\.\d s\. "
        r"The machine is on; the node is in 'clean failed', in maintenance\. "
        r"Nothing is retried by itself: fix the cause, end the maintenance, then "
        r"'manage', and from there 'provide' or 'clean' tries again\.",
        node.last_error,
    )
    with scene.store.read() as session:
        (told,) = [e for e in events.of_node(session, node_id, 0, 99) if e.kind == "error"]
    assert (told.message, told.data["verb"]) == (node.last_error, "clean")
    assert (told.data["from"], told.data["to"]) == ("manageable", "clean failed")


def test_the_ways_on_are_verbs_that_the_state_takes() -> None:
    bad_ends = {name for name, state in states.STATES.items() if state.kind == states.FAILED}
    assert set(report.WAYS_ON) == bad_ends | {states.ENROLL}
    for state, text in report.WAYS_ON.items():
        first, *others = re.findall(r"'(\w+)'", text)
        assert states.verb_allowed(first, state)
        from_there = states.MANAGEABLE if "from there" in text else state
        assert all(states.verb_allowed(verb, from_there) for verb in others)


def test_an_error_that_says_nothing_to_check_gets_that_by_its_kind(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll", driver_info={"fake_fault": {"power": "BmcUnreachable: dead"}})
    scene.provision(node_id, "manage")
    assert report.CHECKS[BmcUnreachable] in failed(scene, node_id).last_error


def test_a_password_that_a_controller_repeats_is_in_no_text(scene: Any) -> None:
    scene.start()
    info = {"ipmi_password": "hunter22", "fake_fault": {"deploy": "no user with hunter22 here"}}
    node_id = scene.node("manageable", driver_info=info)
    scene.provision(node_id, "provide")
    assert "no user with ****** here" in failed(scene, node_id).last_error
    assert not any("hunter22" in text for text in texts(scene, node_id))


def test_an_abort_names_who_asked_for_it_and_the_history_who_began(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    hold = named("power", "hold")
    scene.provision(node_id, "clean", user="ann", clean_steps=[hold])
    scene.until_state(node_id, "clean hold")
    scene.provision(node_id, "abort", user="bob")
    node = failed(scene, node_id)
    assert node.last_error.startswith(
        "Aborted by the operator's request during power.hold, asked by bob. This was step 1 of 1"
    )
    assert "'manage'" in node.last_error
    assert "fix the cause" not in node.last_error
    assert entry(scene, node_id).user == "ann"


def test_work_that_other_work_replaced_is_an_entry(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("active")
    step = named("deploy", "erase_devices_metadata")
    scene.provision(node_id, "service", user="ann", service_steps=[step])
    scene.until_state(node_id, "service wait")
    scene.provision(node_id, "deleted", user="bob")
    with scene.store.read() as session:
        first = session.scalars(select(HistoryEntry).order_by(HistoryEntry.id).limit(1)).one()
        old = session.scalars(select(Operation).order_by(Operation.id).limit(1)).one()
    assert re.fullmatch(
        r"'service' was given up for 'deleted', asked by bob after \d+\.\d s\.", first.event
    )
    assert (first.severity, first.event_type, first.user) == ("INFO", "servicing", "ann")
    assert (old.state, old.error) == ("aborted", first.event)


def test_who_asked_for_power_is_in_the_history(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    scene.bus.call("conductor", "power", node_id=node_id, target="power on", user="ann")
    scene.until(node_id, lambda node: node.operation_id is None)
    found = entry(scene, node_id)
    assert found.user == "ann"
    assert re.fullmatch(r"'power on' has been done in \d+\.\d s; the node is active\.", found.event)


def test_a_time_out_says_what_kept_the_step_from_being_done(scene: Any) -> None:
    scene.start(**FILES, retry_seconds=0.02)
    node_id = scene.machine("manageable")
    scene.netboot.away = 10**9
    scene.provision(node_id, "provide")

    def obstacle() -> str | None:
        with scene.store.read() as session:
            return session.scalars(select(Step.error).order_by(Step.id).limit(1)).one()  # type: ignore[no-any-return]

    scene.until(node_id, lambda _: obstacle() is not None, free=False)
    with scene.store.write() as session:
        session.get_one(Node, node_id).deadline = scene.store.clock.now().replace(year=2020)
    scene.process.periodic.sweep()
    error = scene.until_state(node_id, "clean failed").last_error
    assert error.startswith("Timed out after")
    assert "in step 'boot ramdisk'. netboot is being restarted." in error
    told = [text for text in texts(scene, node_id) if "is tried again" in text]
    assert told == ["conductor.boot_ramdisk is tried again: netboot is being restarted"]


def test_an_obstacle_that_was_overcome_leaves_no_error(scene: Any, agent: Any) -> None:
    scene.start(**FILES, retry_seconds=0.02)
    node_id = scene.machine("manageable")
    scene.netboot.away = 2
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    with scene.store.read() as session:
        assert set(session.scalars(select(Step.error))) == {None}


def test_an_agent_that_cannot_be_reached_is_told_with_tries_and_time(
    scene: Any, agent: Any
) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    url, agent.url = agent.url, "http://127.0.0.1:9"
    scene.call_back(node_id, agent)
    error = scene.until_state(node_id, "clean failed").last_error
    agent.url = url
    assert "The agent at http://127.0.0.1:9 did not" in error
    assert re.search(r"Connection refused \(3 tries, \d+\.\d s\)\.", error)
    assert agent.token not in error
