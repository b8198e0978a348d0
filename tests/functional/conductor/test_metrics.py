"""What a conductor counts while it works."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from drophammer import metrics
from drophammer.errors import AgentUnreachable
from drophammer.model import Agent


def figure(series: str) -> float:
    """One line's figure; 0 for one that is not there."""
    for line in metrics.exposition().decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name == series:
            return float(value)
    return 0.0


def test_transitions_and_steps_of_a_deploy_are_counted(scene: Any) -> None:
    deploys = 'drophammer_conductor_transitions_total{event="deploy"}'
    steps = (
        'drophammer_conductor_step_seconds_count{interface="deploy",outcome="done",step="deploy"}'
    )
    before = figure(deploys), figure(steps)
    scene.start()
    node_id = scene.node("available")
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    assert figure(deploys) == before[0] + 1
    assert figure(steps) >= before[1] + 1


def test_a_step_that_fails_is_counted_as_failed(scene: Any) -> None:
    scene.start()
    failed = 'outcome="failed"'
    before = sum(failed in line for line in metrics.exposition().decode().splitlines())
    node_id = scene.node("manageable", driver_info={"fake_fault": {"deploy": "disk on fire"}})
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean failed")
    after = [line for line in metrics.exposition().decode().splitlines() if failed in line]
    assert len(after) > before or any(not line.endswith(" 0.0") for line in after)
    assert "disk on fire" not in "".join(after)


def test_what_there_is_to_do_is_asked_in_a_statement_each(scene: Any) -> None:
    scene.start(fake_delays={"deploy": (5, 5)})
    node_id = scene.node("available")
    scene.provision(node_id, "active")
    statements: list[str] = []

    @event.listens_for(scene.store.engine, "before_cursor_execute")
    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "count(" in statement:
            statements.append(statement)

    assert figure('drophammer_operations{state="running"}') == 1
    assert len(statements) == 2
    assert figure('drophammer_operations{state="waiting"}') == 0
    assert figure("drophammer_conductor_leases") == 1
    places = sum(
        figure(f'drophammer_conductor_jobs{{place="{place}"}}')
        for place in ("running", "queued", "later")
    )
    assert places >= 1


def test_a_conductor_that_has_left_tells_no_more_figures(scene: Any) -> None:
    scene.start()
    assert b"\ndrophammer_conductor_leases " in metrics.exposition()
    scene.stop()
    assert b"\ndrophammer_conductor_leases " not in metrics.exposition()


def test_calls_to_agents_are_counted_by_command_and_outcome(scene: Any, agent: Any) -> None:
    process = scene.start()
    series = "drophammer_conductor_agent_call_seconds_count"
    good = f'{series}{{command="standby.sync",outcome="ok"}}'
    bad = f'{series}{{command="standby.sync",outcome="AgentUnreachable"}}'
    before = figure(good), figure(bad)
    there = Agent(node_id=1, url=agent.url, token=agent.token)
    process.box.agents.run(there, "standby.sync", {}, wait=True)
    gone = Agent(node_id=1, url="http://127.0.0.1:1", token="x")
    with pytest.raises(AgentUnreachable):
        process.box.agents.run(gone, "standby.sync", {}, wait=True)
    assert (figure(good), figure(bad)) == (before[0] + 1, before[1] + 1)


def test_a_conductor_without_a_fresh_beat_says_so(scene: Any) -> None:
    process = scene.start()
    assert process.trouble() == ""
    scene.store.lease_seconds = -1
    assert "last beat" in process.trouble()
    scene.store.lease_seconds = 60
