"""What is and was being done to a node, with its journal."""

from __future__ import annotations

import datetime

import pytest
from sqlalchemy import insert, select, update

from drophammer.model import Node, Operation, Step, new_uuid

SECRET = "hunter2"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


def node_id(api, node) -> int:
    with api.store.read() as session:
        return session.scalars(select(Node.id).where(Node.uuid == node["uuid"])).one()


def operation(api, node, *, steps=(), **values) -> str:
    """One in the database, as a conductor would have it; its UUID."""
    now = api.store.clock.now()
    row = {
        "uuid": new_uuid(),
        "node_id": node_id(api, node),
        "verb": "active",
        "flow": "deploy",
        "state": "done",
        "request": {},
        "created_at": now - datetime.timedelta(seconds=90),
        "finished_at": now,
        **values,
    }
    blank = {
        "interface": "deploy",
        "step": "deploy",
        "source": "driver",
        "args": {},
        "state": "pending",
        "cursor": {},
        "result": {},
    }
    with api.store.write() as session:
        made = session.execute(insert(Operation).values(**row).returning(Operation.id)).scalar_one()
        for position, step in enumerate(steps):
            session.execute(
                insert(Step).values({**blank, **step, "operation_id": made, "position": position})
            )
        if row["finished_at"] is None:
            session.execute(update(Node).values(operation_id=made, deadline=now))
    return str(row["uuid"])


def operations(api, query="") -> dict:
    answer = api.get(f"/v1/nodes/rack-1/operations{query}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_running_operation_shows_who_asked_who_works_and_until_when(api, node) -> None:
    request = {"user": "ada", "request_id": "req-1", "runbook_name": "CUSTOM_R"}
    operation(api, node, state="running", position=1, finished_at=None, request=request)
    api.lease(node["uuid"])
    (found,) = operations(api)["operations"]
    assert (found["user"], found["request_id"], found["runbook"]) == ("ada", "req-1", "CUSTOM_R")
    assert (found["state"], found["position"], found["flow"]) == ("running", 1, "deploy")
    assert found["lease"]["host"] == "conductor-7"
    assert found["deadline"] is not None
    assert found["seconds"] >= 90


def test_a_finished_operation_has_no_worker_and_no_deadline(api, node) -> None:
    operation(api, node)
    operation(api, node, state="running", finished_at=None)
    api.lease(node["uuid"])
    running, done = operations(api)["operations"]
    assert running["lease"] is not None
    assert (done["lease"], done["deadline"], done["position"]) == (None, None, None)
    assert done["seconds"] == 90


def test_a_step_tells_how_long_it_took_and_where_it_is_and_no_secret(api, node) -> None:
    now = api.store.clock.now()
    began = now - datetime.timedelta(seconds=8)
    steps = [
        {
            "state": "done",
            "started_at": began,
            "finished_at": now,
            "args": {"any": SECRET},
            "result": {
                "command": "deploy.execute",
                "password": SECRET,
                "url": f"http://u:{SECRET}@h/",
            },
        },
        {
            "state": "running",
            "started_at": began,
            "cursor": {"stage": "booting", "was_off": True, "command": SECRET},
        },
        {},
    ]
    operation(api, node, state="running", finished_at=None, steps=steps)
    answer = api.get("/v1/nodes/rack-1/operations")
    assert SECRET not in answer.text
    done, running, pending = answer.json["operations"][0]["steps"]
    assert (done["seconds"], done["reached"]) == (8, [])
    assert done["result"]["command"] == "deploy.execute"
    assert running["seconds"] >= 8
    assert running["reached"] == ["booting", "was off", "command"]
    assert (pending["seconds"], pending["started_at"]) == (None, None)


def test_operations_come_in_pages(api, node) -> None:
    made = [operation(api, node) for _ in range(5)]
    seen = []
    query = "?limit=2"
    while query:
        page = operations(api, query)
        seen += [found["uuid"] for found in page["operations"]]
        _, _, rest = page.get("next", "").partition("?")
        query = f"?{rest}" if rest else ""
    assert seen == made[::-1]


def test_a_marker_that_is_no_operation_of_the_node_is_refused(api, node) -> None:
    stranger = api.node(name="rack-2")
    other = operation(api, stranger)
    for marker, status in ((other, 404), (new_uuid(), 404), ("x", 400), ("", 400)):
        answer = api.get(f"/v1/nodes/rack-1/operations?marker={marker}")
        assert answer.status_code == status, marker


def test_a_hundred_operations_cost_as_many_statements_as_one(api, node, sql) -> None:
    counts = []
    for number in (1, 99):
        for _ in range(number):
            operation(api, node, steps=[{}, {}])
        sql.clear()
        operations(api, "?limit=200")
        counts.append(sql.count)
    assert counts[0] == counts[1] <= 3
