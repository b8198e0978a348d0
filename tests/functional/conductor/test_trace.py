"""One id from the API's request to the conductor's log, the operation and the agent."""

from __future__ import annotations

import json
import logging
import queue
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer import operations, trace
from drophammer.model import Agent, Operation
from embedded.logs import JsonFormat, TextFormat
from tests.patience import PATIENCE

ID = "req-11111111-2222-3333-4444-555555555555"


class Lines(logging.Handler):
    """Formats lines where they are written, as the service's own handler does."""

    def __init__(self, form: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(form)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines(JsonFormat())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_what_a_request_leads_to_is_logged_with_its_id_and_its_node(
    scene: Any, lines: Lines
) -> None:
    scene.start()
    node_id = scene.node("available")
    with trace.carried(ID):
        scene.provision(node_id, "active")
    node = scene.until_state(node_id, "active")
    found = [json.loads(line) for line in lines.lines]
    changes = [line for line in found if node.uuid in line["message"]]
    assert len(changes) >= 2
    assert {line["request_id"] for line in changes} == {ID}
    assert changes[-1]["node"] == node.uuid
    assert changes[-1]["message"].endswith("-> active (done)")
    assert set(changes[-1]) == {"time", "level", "logger", "message", "request_id", "node"}


def test_the_operation_keeps_the_id_for_whoever_goes_on_with_it(scene: Any, lines: Lines) -> None:
    scene.start()
    node_id = scene.node("available")
    with trace.carried(ID):
        scene.bus.call("conductor", "power", node_id=node_id, target="power on")
    scene.until(node_id, lambda node: node.power_state == "power on")
    with scene.store.read() as session:
        (operation,) = session.query(Operation).all()
    assert operation.request["request_id"] == ID
    assert operation.state == operations.DONE


def test_the_agent_is_told_the_id(scene: Any, agent: Any) -> None:
    process = scene.start()
    heard: list[str | None] = []
    send = agent._answer
    agent._answer = lambda handler, body: (
        heard.append(handler.headers.get("X-Request-Id")),
        send(handler, body),
    )
    there = Agent(node_id=1, url=agent.url, token=agent.token)
    with trace.carried(ID):
        process.box.agents.run(there, "standby.sync", {}, wait=True)
    process.box.agents.run(there, "standby.sync", {}, wait=True)
    assert heard == [ID, None]


def test_work_that_is_left_to_a_thread_goes_on_for_its_request(scene: Any) -> None:
    process = scene.start()
    seen: queue.Queue[str] = queue.Queue()
    with trace.carried(ID):
        process._workers.submit(lambda: seen.put(trace.request()))
    process._workers.submit(lambda: seen.put(trace.request()))
    assert {seen.get(timeout=PATIENCE), seen.get(timeout=PATIENCE)} == {ID, ""}


def test_lines_of_text_say_the_id_once() -> None:
    form = TextFormat()

    def line(text: str) -> str:
        return form.format(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))

    assert ID not in line("nothing")
    with trace.carried(ID):
        assert line("state changed").endswith(f"x: state changed [{ID}]")
        assert line(f"GET request={ID}").count(ID) == 1


def test_an_exception_is_one_line_of_json() -> None:
    try:
        raise ValueError("no\nway")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "bad %s", ("thing",), sys.exc_info())
    line = JsonFormat().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == "bad thing"
    assert "ValueError" in told["exception"]
