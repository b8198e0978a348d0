"""VIFs of nodes: what reaches the conductor, and what does not."""

from __future__ import annotations

import pytest

from drophammer.errors import Conflict, Invalid, NodeLocked

PATH = "/v1/nodes/rack-1/vifs"
UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"


@pytest.fixture(autouse=True)
def node(api):
    return api.node(name="rack-1")


def test_vifs_are_listed_as_the_conductor_tells(api, conductor) -> None:
    conductor.answers["list_vifs"] = [{"id": UUID}]
    assert api.get(PATH).json == {"vifs": [{"id": UUID}]}


@pytest.mark.parametrize(
    "info",
    [
        {"id": UUID},
        {"id": "by-name", "segment": 7},
        {"id": "v", "port_uuid": UUID},
        {"id": "v", "portgroup_uuid": UUID},
    ],
)
def test_a_vif_is_attached_with_all_that_was_said(api, conductor, info) -> None:
    answer = api.post(PATH, info)
    assert (answer.status_code, answer.data) == (204, b"")
    method, sent = conductor.next()
    assert (method, sent["info"]) == ("attach_vif", info)


@pytest.mark.parametrize(
    "info",
    [
        None,
        [],
        {},
        {"id": None},
        {"id": ""},
        {"id": "a b"},
        {"id": UUID, "port_uuid": "x"},
        {"id": UUID, "port_uuid": UUID, "portgroup_uuid": UUID},
    ],
)
def test_a_wrong_body_is_refused(api, conductor, info) -> None:
    assert api.post(PATH, info).status_code == 400
    assert conductor.nothing_came()


def test_a_place_needs_a_newer_version(api) -> None:
    assert api.at("1.66").post(PATH, {"id": UUID, "port_uuid": UUID}).status_code == 406
    assert api.at("1.66").post(PATH, {"id": UUID}).status_code == 204
    assert api.at("1.27").get(PATH).status_code == 404


def test_a_vif_is_detached_by_its_id(api, conductor) -> None:
    assert api.delete(f"{PATH}/{UUID}").status_code == 204
    method, sent = conductor.next()
    assert (method, sent["vif"]) == ("detach_vif", UUID)


@pytest.mark.parametrize(
    ("error", "status"), [(Invalid("x"), 400), (Conflict("x"), 409), (NodeLocked("x"), 409)]
)
def test_a_refusal_of_the_conductor_passes(api, conductor, error, status) -> None:
    conductor.answers = {"attach_vif": error, "detach_vif": error}
    assert api.post(PATH, {"id": UUID}).status_code == status
    assert api.delete(f"{PATH}/{UUID}").status_code == status
