"""Ending badly survives a crash: killed anywhere, it ends as if nothing had happened.

A conductor is killed at the beginning and right after the end of each transaction that
it writes; another one goes on.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import Session

from drophammer import boots, operations
from drophammer.errors import Conflict, HardwareError, InvalidState, NodeLocked
from drophammer.model import HistoryEntry, Node, Operation, Port, Step

# Dozens of conductors in one test, which are work and not waiting.
pytestmark = pytest.mark.timeout(600)
FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
# More moments than any of these has; each is a conductor that is stopped and started.
MOST = 60


class Killed(BaseException):
    """What a thread of a process that is killed gets to see: nothing that it could handle."""


class Killer:
    """Kills a worker of the conductor at the ``moment``-th boundary of its transactions."""

    def __init__(self, scene: Any, moment: int) -> None:
        self.struck = threading.Event()
        self._scene, self._left = scene, moment
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def loose(self) -> Iterator[None]:
        engine = self._scene.store.engine
        event.listen(engine, "begin", self._begin)
        event.listen(Session, "after_commit", self._committed)
        try:
            yield
        finally:
            event.remove(engine, "begin", self._begin)
            event.remove(Session, "after_commit", self._committed)

    def _begin(self, connection: Any) -> None:
        if connection.get_execution_options().get("drophammer_begin") == "BEGIN IMMEDIATE":
            self._count()

    def _committed(self, session: Session) -> None:
        self._count()

    def _count(self) -> None:
        if not threading.current_thread().name.startswith("worker_"):
            return
        with self._lock:
            self._left -= 1
            struck = self._left < 0
        if struck:
            # Whatever the process's other threads would do is nobody's doing any more either.
            self.struck.set()
            raise Killed


class Hardware:
    """Fails, and counts how often somebody tried."""

    def __init__(self) -> None:
        self.tried = 0

    def strike(self, node_uuid: str, kind: str) -> None:
        self.tried += 1
        raise HardwareError("smoke came out")


def ended(scene: Any, node_id: int) -> dict[str, Any]:
    """All by which one end could differ from another."""
    node = scene.until(node_id, lambda node: node.operation_id is None)
    with scene.store.read() as session:
        operation = session.scalars(
            select(Operation)
            .where(Operation.node_id == node_id)
            .order_by(Operation.id.desc())
            .limit(1)
        ).one()
        steps = session.scalars(
            select(Step).where(Step.operation_id == operation.id).order_by(Step.position)
        ).all()
        history = session.scalars(
            select(HistoryEntry.event).where(HistoryEntry.node_id == node_id)
        ).all()
        ramdisk = boots.is_set(session, node_id)
    assert (operation.error, history) == (node.last_error, [node.last_error])
    assert operation.finished_at is not None
    columns = ("provision_state", "target_provision_state", "power_state", "maintenance", "fault")
    return {
        **{name: getattr(node, name) for name in columns},
        "instance_info": node.instance_info,
        "error": re.sub(r"begun at .*? after [^.]*\.\d s|after \d+\.\d s", "...", node.last_error),
        "operation": operation.state,
        "steps": [(step.step, step.state) for step in steps],
        "ramdisk": ramdisk,
        "deadline": node.deadline,
    }


def killed_everywhere(
    scene: Any,
    prepare: Callable[[], int],
    go: Callable[[int], None],
    tried: Callable[[], int] = lambda: 0,
    *,
    again: Callable[[int], None] = lambda node_id: None,
    **settings: Any,
) -> None:
    """Kill at every moment of ``go``: all must end like the one that nobody disturbs."""
    wanted: dict[str, Any] | None = None
    in_the_end = 0
    for moment in (MOST, *range(MOST)):
        scene.start(**settings)
        node_id = prepare()
        struck = killed_at(scene, moment, node_id, go)
        ending = state_of_work(scene, node_id) in operations.ENDING
        before = tried()
        scene.start(**settings)
        if struck and not ending and scene.get(node_id).operation_id is not None:
            again(node_id)
        found = ended(scene, node_id)
        scene.stop()
        wanted = wanted or found
        assert found == wanted, f"killed at moment {moment}"
        if ending:
            in_the_end += 1
            assert tried() == before, f"killed at moment {moment}: the step was run again"
        if moment != MOST and not struck:
            assert in_the_end >= 2
            return
    raise AssertionError(f"more than {MOST} moments")


def killed_at(scene: Any, moment: int, node_id: int, go: Callable[[int], None]) -> bool:
    """Whether there was such a moment; the conductor is gone either way."""
    killer = Killer(scene, moment)
    with killer.loose():
        go(node_id)
        scene.until(
            node_id, lambda node: node.operation_id is None or killer.struck.is_set(), free=False
        )
        scene.stop()
    return killer.struck.is_set()


def state_of_work(scene: Any, node_id: int) -> str | None:
    with scene.store.read() as session:
        node = session.get_one(Node, node_id)
        work = session.get(Operation, node.operation_id) if node.operation_id else None
    return None if work is None else work.state


CASES = [
    ("enroll", "manage", {}, "power"),
    ("manageable", "provide", {}, "deploy"),
    (
        "manageable",
        "clean",
        {"clean_steps": [{"interface": "bios", "step": "factory_reset"}]},
        "bios",
    ),
    ("available", "active", {}, "deploy"),
    ("active", "deleted", {}, "power"),
    ("active", "rescue", {"rescue_password": "x"}, "rescue"),
    ("manageable", "adopt", {}, "power"),
]


@pytest.mark.parametrize(("state", "verb", "request_", "kind"), CASES)
def test_a_step_that_failed_has_failed(
    scene: Any, state: str, verb: str, request_: dict[str, Any], kind: str
) -> None:
    hardware = Hardware()

    def prepare() -> int:
        return int(scene.node(state, power_state="power on", instance_info={"a": "b"}))

    killed_everywhere(
        scene,
        prepare,
        lambda node_id: scene.provision(node_id, verb, **request_),
        lambda: hardware.tried,
        fake_faults={kind: hardware},
    )


def test_a_power_command_that_failed_has_failed(scene: Any) -> None:
    hardware = Hardware()
    killed_everywhere(
        scene,
        lambda: int(scene.node("active")),
        lambda node_id: scene.bus.call(
            "conductor", "power", node_id=node_id, target="power on", timeout=None
        ),
        lambda: hardware.tried,
        fake_faults={"power": hardware},
    )


def in_clean_wait(scene: Any, **fields: Any) -> int:
    with scene.store.write() as session:
        session.execute(delete(Port))  # Of the machine before: their MACs are one.
    node_id = int(scene.machine("manageable", **fields))
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    return node_id


def test_a_command_that_failed_on_the_machine_has_failed(scene: Any, agent: Any) -> None:
    agent.error = "disk on fire"
    killed_everywhere(
        scene,
        lambda: in_clean_wait(scene),
        lambda node_id: scene.call_back(node_id, agent),
        lambda: agent.names().count("clean.execute_clean_step"),
        **FILES,
    )


def test_an_abort_aborts_once(scene: Any) -> None:
    killed_everywhere(
        scene,
        lambda: in_clean_wait(scene),
        lambda node_id: scene.provision(node_id, "abort", user="ann"),
        **FILES,
    )


def test_what_went_wrong_with_the_clean_up_is_told_whoever_did_it(scene: Any) -> None:
    def abort(node_id: int) -> None:
        with scene.store.write() as session:
            faults = {"fake_fault": {"power": "it sulks"}}
            session.get_one(Node, node_id).driver_info = faults
        scene.provision(node_id, "abort")

    killed_everywhere(scene, lambda: in_clean_wait(scene), abort, **FILES)
    with scene.store.read() as session:
        (error, *_) = session.scalars(select(Node.last_error))
    assert "Its clean-up did not work whole: see the node's events." in error


def test_a_time_out_fails_once(scene: Any) -> None:
    def overdue(node_id: int) -> None:
        past_deadline(scene, node_id)
        scene.process.periodic.sweep()

    # Whoever seizes it and dies has put the deadline off a little: then it comes again.
    killed_everywhere(scene, lambda: in_clean_wait(scene), overdue, again=overdue, **FILES)


def past_deadline(scene: Any, node_id: int) -> None:
    # In one statement: the first look may have ended it already, or is about to.
    unfinished = (Node.id == node_id, Node.operation_id.is_not(None))
    overdue = scene.store.clock.now().replace(year=2020)
    with scene.store.write() as session:
        session.execute(update(Node).where(*unfinished).values(deadline=overdue))


def test_an_end_that_does_not_come_is_put_to_an_end(scene: Any) -> None:
    scene.start(**FILES)
    node_id = in_clean_wait(scene)
    assert killed_at(scene, 2, node_id, lambda node_id: scene.provision(node_id, "abort"))
    assert state_of_work(scene, node_id) == "aborting"
    # As if somebody had it whose clean-up hangs.
    with scene.store.write() as session:
        node = session.get_one(Node, node_id)
        node.lease_owner, node.lease_expires = (
            "somebody",
            scene.store.clock.now().replace(year=9000),
        )
    past_deadline(scene, node_id)
    scene.start(**FILES)
    node = scene.until_state(node_id, "clean failed")
    assert node.last_error.startswith("Aborted by the operator's request during boot ramdisk.")
    assert "The machine is on" in node.last_error
    assert "Its clean-up did not work whole" in node.last_error


def test_what_ends_cannot_be_let_go_on(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    steps = [{"interface": "power", "step": "hold"}, {"interface": "power", "step": "power_on"}]
    scene.provision(node_id, "clean", clean_steps=steps)
    scene.until_state(node_id, "clean hold")
    assert killed_at(scene, 1, node_id, lambda node_id: scene.provision(node_id, "abort"))
    assert state_of_work(scene, node_id) == "aborting"
    scene.start(sweep_interval=1000)
    # Whichever comes first, this or the sweep of the start: the end is the same.
    with contextlib.suppress(Conflict, InvalidState, NodeLocked):
        scene.provision(node_id, "unhold")
    assert scene.until_state(node_id, "clean failed").last_error.startswith("Aborted")
    assert scene.get(node_id).power_state is None
