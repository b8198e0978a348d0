"""Following what happens to a node."""

from __future__ import annotations

import pytest

from drophammer import events
from drophammer.model import Node


@pytest.fixture
def node(api, store):
    from sqlalchemy import select

    made = api.node(name="rack-1")
    with store.write() as session:
        found = session.execute(select(Node.id)).scalar_one()
        for number in range(4):
            events.record(
                session,
                node_id=found,
                at=store.clock.now(),
                source="netboot",
                kind="dhcp",
                message=f"offer {number}",
                data={"number": number, "password": "hunter2"},
            )
    return made


def test_events_come_in_order_from_behind_the_last_one_seen(api, node) -> None:
    first = api.get("/v1/nodes/rack-1/events?limit=3").json
    assert [event["kind"] for event in first["events"]] == ["enroll", "dhcp", "dhcp"]
    rest = api.get(f"/v1/nodes/rack-1/events?after={first['next_after']}").json
    assert [event["message"] for event in rest["events"]] == ["offer 2", "offer 3"]
    end = api.get(f"/v1/nodes/rack-1/events?after={rest['next_after']}").json
    assert end == {"events": [], "next_after": rest["next_after"]}


def test_an_event_has_all_its_parts_and_no_secret(api, node) -> None:
    event = api.get("/v1/nodes/rack-1/events").json["events"][1]
    assert set(event) == {"id", "at", "source", "kind", "message", "data"}
    assert event["data"] == {"number": 0, "password": "******"}


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", f"after={10**30}", "x=1"])
@pytest.mark.parametrize("what", ["events", "operations"])
def test_a_wrong_argument_is_400(api, node, what, query) -> None:
    assert api.get(f"/v1/nodes/rack-1/{what}?{query}").status_code == 400


@pytest.mark.parametrize("what", ["events", "operations"])
def test_an_unknown_node_is_404(api, what) -> None:
    assert api.get(f"/v1/nodes/nobody/{what}").status_code == 404


def test_a_node_on_which_nothing_was_done_has_no_operations(api, node) -> None:
    assert api.get("/v1/nodes/rack-1/operations").json == {"operations": []}
