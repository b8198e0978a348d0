"""How many statements each stage of a fake node's life costs the conductor."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event

# Of the whole stage, call to end. "deleted" is two stages: giving up, and cleaning.
LIMITS = {"inspect": 22, "provide": 12, "active": 12, "rebuild": 12, "deleted": 30}


@pytest.fixture
def counted(scene: Any) -> list[str]:
    """The statements of the conductor's bus and worker threads."""
    statements: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        ours = threading.current_thread().name.startswith(("worker", "bus-"))
        if ours and not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    return statements


def test_a_stage_costs_few_statements(scene: Any, counted: list[str]) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.node("manageable")
    for verb, state in (
        ("inspect", "manageable"),
        ("provide", "available"),
        ("active", "active"),
        ("rebuild", "active"),
        ("deleted", "available"),
    ):
        counted.clear()
        scene.provision(node_id, verb)
        scene.until(
            node_id, lambda n, state=state: n.provision_state == state and n.operation_id is None
        )
        assert len(counted) <= LIMITS[verb], "\n".join(counted)
