"""A lease that an operator breaks: its holder writes nothing more, and its work goes on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from conductor.begin import begin
from conductor.task import Task
from drophammer.errors import LeaseLost, Unavailable
from tests.patience import PATIENCE


def break_lease(scene: Any, node_id: int) -> Any:
    client = create_app(Settings(), scene.store, scene.bus).test_client()
    return client.delete(
        f"/v1/nodes/{scene.get(node_id).uuid}/lease", json={"reason": "its worker hangs"}
    )


def stuck(scene: Any, node_id: int) -> Task:
    """A cleaning that has begun, and whose worker does nothing, though its process lives."""
    box = scene.start().box
    return begin(
        box,
        node_id,
        verb="provide",
        flow="clean",
        event="provide",
        request={},
        check=lambda node: {},
    )


def test_the_work_of_a_holder_that_hangs_is_gone_on_with_at_once(scene: Any) -> None:
    node_id = scene.node("manageable")
    stuck(scene, node_id)
    assert scene.get(node_id).lease_purpose == "provide"
    answer = break_lease(scene, node_id)
    assert answer.status_code == 200
    assert answer.json["broken"]["purpose"] == "provide"
    node = scene.until_state(node_id, "available")
    assert (node.last_error, node.lease_owner) == (None, None)


def test_the_former_holder_writes_nothing_more(scene: Any) -> None:
    node_id = scene.node("manageable")
    task = stuck(scene, node_id)
    break_lease(scene, node_id)
    scene.until_state(node_id, "available")
    step = task.step()
    assert step is not None
    for write in (
        lambda: task.update({"provision_state": "error"}),
        lambda: task.note(step, here=True),
        lambda: task.confirm(),
        lambda: task.fire("fail"),
        lambda: task.release(),
    ):
        with pytest.raises(LeaseLost):
            write()
    node = scene.get(node_id)
    assert (node.provision_state, node.last_error) == ("available", None)


def test_a_held_operation_stays_held_when_its_lease_is_broken(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    steps = [{"interface": "deploy", "step": name} for name in ("hold", "erase_devices")]
    scene.provision(node_id, "clean", clean_steps=steps)
    scene.until_state(node_id, "clean hold")
    with scene.store.write() as session:
        scene.store.reserve(session, node_id, scene.process.box.holder, "set boot mode")
    assert break_lease(scene, node_id).status_code == 200
    scene.provision(node_id, "unhold")
    scene.until_state(node_id, "manageable")


def test_an_operation_for_which_no_thread_starts_is_gone_on_with_by_the_sweep(scene: Any) -> None:
    process = scene.start(sweep_interval=0.1)
    node_id = scene.node("manageable")
    usual = threading.stack_size(1 << 47)  # More than there are addresses.
    try:
        process.service.provision(node_id, "provide", {})
    except Unavailable:
        pytest.fail("The operation is in the journal: it was promised.")
    finally:
        threading.stack_size(usual)
    node = scene.until_state(node_id, "available")
    assert node.last_error is None


def test_what_was_to_be_done_behind_an_answer_is_not_done_any_more(scene: Any) -> None:
    service = scene.start(workers=1).service
    node_id = scene.node("manageable")
    begun, go_on, ended = (threading.Event() for _ in range(3))
    service._workers.submit(lambda: (begun.set(), go_on.wait(PATIENCE)))
    assert begun.wait(PATIENCE)
    done = []
    service._behind(node_id, "set boot mode", lambda *_: done.append(1), check=lambda *_: None)
    assert scene.get(node_id).lease_purpose == "set boot mode"
    assert break_lease(scene, node_id).status_code == 200
    service._workers.submit(ended.set)
    go_on.set()
    assert ended.wait(PATIENCE)
    assert done == []
