"""Who holds a node, and taking it from them."""

from __future__ import annotations

from sqlalchemy import select

from drophammer.model import Node


def fence(api, uuid) -> int:
    with api.store.read() as session:
        return session.scalars(select(Node.fence).where(Node.uuid == uuid)).one()


def test_a_lease_says_who_holds_the_node_for_what_and_until_when(api) -> None:
    node = api.node(name="rack-1")
    api.lease(node["uuid"])
    lease = api.get("/v1/nodes/rack-1/lease").json["lease"]
    assert (lease["owner"], lease["host"], lease["purpose"]) == (
        "somebody",
        "conductor-7",
        "deploying",
    )
    assert lease["since"] < lease["expires"]
    assert lease["fence"] == 0


def test_a_free_node_has_no_lease(api) -> None:
    node = api.node()
    assert api.get(f"/v1/nodes/{node['uuid']}/lease").json == {"lease": None}


def test_a_lease_that_ran_out_is_none(api) -> None:
    node = api.node()
    api.lease(node["uuid"], seconds=-1)
    assert api.get(f"/v1/nodes/{node['uuid']}/lease").json == {"lease": None}
    assert api.delete(f"/v1/nodes/{node['uuid']}/lease").status_code == 409


def test_breaking_a_lease_frees_the_node_and_moves_the_fence(api, conductor) -> None:
    node = api.node()
    path = f"/v1/nodes/{node['uuid']}"
    api.lease(node["uuid"])
    answer = api.call("DELETE", f"{path}/lease", {"reason": "it hangs"})
    assert answer.status_code == 200
    assert answer.json["broken"]["host"] == "conductor-7"
    assert api.get(f"{path}/lease").json == {"lease": None}
    assert api.get(path).json["reservation"] is None
    assert fence(api, node["uuid"]) == 1
    assert conductor.next()[0] == "go_on"


def test_a_broken_lease_is_told_as_event_and_in_the_history(api) -> None:
    node = api.node()
    path = f"/v1/nodes/{node['uuid']}"
    api.lease(node["uuid"])
    api.delete(f"{path}/lease?reason=it%20hangs")
    text = "The lease of host conductor-7 for 'deploying' was broken by an operator: it hangs."
    events = api.get(f"{path}/events").json["events"]
    assert [event["message"] for event in events if event["kind"] == "lease"] == [text]
    (entry,) = api.get(f"{path}/history?detail=true").json["history"]
    assert (entry["event"], entry["event_type"], entry["severity"]) == (text, "lease", "INFO")
    assert entry["conductor"] == "conductor-7"


def test_there_is_nothing_to_break_on_a_free_node(api, conductor) -> None:
    node = api.node()
    answer = api.delete(f"/v1/nodes/{node['uuid']}/lease")
    assert answer.status_code == 409
    assert "there is no lease to break" in api.fault(answer)
    assert conductor.nothing_came()
    assert fence(api, node["uuid"]) == 0


def test_a_lease_is_broken_without_a_conductor_too(api, bus) -> None:
    node = api.node()
    api.lease(node["uuid"])
    bus.close()
    assert api.delete(f"/v1/nodes/{node['uuid']}/lease").status_code == 200


def test_a_reason_that_is_no_text_is_refused(api) -> None:
    node = api.node()
    api.lease(node["uuid"])
    for body in ({"reason": 1}, {"why": "x"}, [], {"reason": "x" * 5000}):
        assert api.call("DELETE", f"/v1/nodes/{node['uuid']}/lease", body).status_code == 400
    assert api.get(f"/v1/nodes/{node['uuid']}/lease").json["lease"] is not None


def test_a_node_that_is_not_there_has_no_lease_to_show_or_break(api) -> None:
    assert api.get("/v1/nodes/nobody/lease").status_code == 404
    assert api.delete("/v1/nodes/nobody/lease").status_code == 404
