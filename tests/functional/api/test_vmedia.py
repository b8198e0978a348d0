"""Virtual media of nodes: what reaches the conductor."""

from __future__ import annotations

import pytest

from drophammer.errors import Unsupported

PATH = "/v1/nodes/rack-1/vmedia"
IMAGE = {"device_type": "cdrom", "image_url": "https://images.example/tools.iso"}


@pytest.fixture(autouse=True)
def node(api):
    return api.node(name="rack-1")


@pytest.mark.parametrize("source", [None, "http", "local", "swift"])
def test_an_image_is_attached(api, conductor, source) -> None:
    body = IMAGE if source is None else {**IMAGE, "image_download_source": source}
    answer = api.post(PATH, body)
    assert (answer.status_code, answer.data) == (204, b"")
    method, sent = conductor.next()
    sent.pop("node_id")
    assert (method, sent) == ("attach_vmedia", {**IMAGE, "image_download_source": source})


@pytest.mark.parametrize(
    "changed",
    [
        {"device_type": "tape"},
        {"device_type": None},
        {"image_url": "file:///etc/passwd"},
        {"image_url": "https://"},
        {"image_url": "https://a b/"},
        {"image_url": "gopher://x/y"},
        {"image_download_source": "ftp"},
        {"colour": "red"},
    ],
)
def test_a_wrong_body_is_refused(api, conductor, changed) -> None:
    assert api.post(PATH, {**IMAGE, **changed}).status_code == 400
    assert conductor.nothing_came()


@pytest.mark.parametrize(
    ("query", "body", "meant"),
    [
        ("", None, []),
        ("?device_types=cdrom,Floppy", None, ["cdrom", "floppy"]),
        ("", {"device_types": "cdrom,disk"}, ["cdrom", "disk"]),
        ("", {"device_types": ["cdrom"]}, ["cdrom"]),
        ("", {}, []),
    ],
)
def test_media_are_detached_by_kind_or_all(api, conductor, query, body, meant) -> None:
    assert (
        api.delete(f"{PATH}{query}", **({"data": b""} if body is None else {})).status_code == 204
    )
    method, sent = conductor.next()
    if body is not None:
        assert api.call("DELETE", PATH, body).status_code == 204
        method, sent = conductor.next()
    assert (method, sent["device_types"]) == ("detach_vmedia", meant)


def test_an_unknown_kind_is_refused(api, conductor) -> None:
    assert api.delete(f"{PATH}?device_types=tape").status_code == 400
    assert api.call("DELETE", PATH, {"device_types": "tape"}).status_code == 400
    assert conductor.nothing_came()


def test_what_the_hardware_tells_is_shown(api, conductor) -> None:
    conductor.answers["get_vmedia"] = [{"media_types": ["CD"], "inserted": True}]
    assert api.get(PATH).json == conductor.answers["get_vmedia"]
    conductor.answers["get_vmedia"] = Unsupported("no virtual media")
    assert api.get(PATH).status_code == 400


def test_reading_came_after_attaching(api) -> None:
    assert api.at("1.92").get(PATH).status_code == 404
    assert api.at("1.89").post(PATH, IMAGE).status_code == 204
    assert api.at("1.88").post(PATH, IMAGE).status_code == 404
    assert api.at("1.88").delete(PATH).status_code == 404
