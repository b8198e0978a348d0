"""What a heartbeat costs a conductor, and that none is missed for that."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import event

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}


@pytest.fixture
def statements(scene: Any) -> list[str]:
    """What the conductor's worker threads tell the database."""
    told: list[str] = []

    def note(statement: str) -> None:
        if threading.current_thread().name.startswith("worker_"):
            told.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", lambda c, u, text, *_: note(text))
    event.listen(scene.store.engine, "commit", lambda _: note("COMMIT"))
    return told


@pytest.fixture
def node_id(scene: Any, agent: Any) -> int:
    """A node whose ramdisk is in the middle of a long clean step."""
    agent.hold = True
    scene.start(**FILES, heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda node: (
            node.clean_step.get("step") == "erase_devices_metadata"
            and node.provision_state == "clean wait"
        ),
    )
    return int(node_id)


def is_over(scene: Any, node_id: int, agent: Any) -> None:
    """The step's end is noticed, and with it what follows."""
    agent.hold = False
    agent.finish()
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_a_beat_during_a_long_step_is_one_question_and_takes_no_lease(
    scene: Any, agent: Any, node_id: int, statements: list[str]
) -> None:
    before, requests = scene.get(node_id), agent.requests
    statements.clear()
    scene.call_back(node_id, agent)
    agent.until(lambda: agent.requests > requests)
    scene.process.service.heartbeats([])
    after = scene.get(node_id)
    assert (after.fence, after.updated_at) == (before.fence, before.updated_at)
    assert len([text for text in statements if text.startswith("SELECT")]) == 1
    assert "COMMIT" not in statements
    is_over(scene, node_id, agent)


def test_an_agent_that_never_rests_is_asked_once_a_second(
    scene: Any, agent: Any, node_id: int
) -> None:
    requests, begun = agent.requests, time.monotonic()
    for _ in range(30):
        scene.call_back(node_id, agent)
    agent.until(lambda: agent.requests > requests)
    assert agent.requests - requests <= 2 + (time.monotonic() - begun)
    is_over(scene, node_id, agent)


def test_a_beat_that_comes_too_soon_is_looked_at_later(
    scene: Any, agent: Any, node_id: int
) -> None:
    requests = agent.requests
    scene.call_back(node_id, agent)
    agent.until(lambda: agent.requests > requests)
    # The last beat that there will be, within the second in which the agent is not asked.
    is_over(scene, node_id, agent)


def test_a_beat_of_a_node_without_work_is_one_question(
    scene: Any, agent: Any, statements: list[str]
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    at_rest, held = scene.node("active"), scene.node("deploying", lease_owner="somebody")
    statements.clear()
    scene.process.service.heartbeats([at_rest, held, 4711])
    agent.until(lambda: len(statements) >= 3)  # What has not begun when it stops is dropped.
    scene.stop()
    assert len(statements) == 3
    assert all(text.startswith("SELECT") for text in statements)


def test_an_agent_that_was_restarted_is_not_taken_for_busy(
    scene: Any, agent: Any, node_id: int
) -> None:
    agent.commands.clear()
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "restarted" in node.last_error
