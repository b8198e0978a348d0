"""What holds for every request: versions, headers, errors, spellings."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy import event

from tests.databases import only_sqlite

VERSION = "X-OpenStack-Ironic-API-Version"
MINIMUM = "X-OpenStack-Ironic-API-Minimum-Version"
MAXIMUM = "X-OpenStack-Ironic-API-Maximum-Version"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nodes", "/v1/nodes/none", "/none"])
def test_every_response_carries_versions_and_request_ids(api, path) -> None:
    headers = api.at("1.31").get(path).headers
    assert (headers[MINIMUM], headers[MAXIMUM], headers[VERSION]) == ("1.1", "1.115", "1.31")
    assert headers["x-openstack-request-id"] == headers["openstack-request-id"]
    assert headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nodes"])
def test_a_version_out_of_range_gets_406_with_the_range_alone(api, path) -> None:
    answer = api.at("1.116").get(path)
    assert answer.status_code == 406
    assert (answer.headers[MINIMUM], answer.headers[MAXIMUM]) == ("1.1", "1.115")
    assert VERSION not in answer.headers
    inner = json.loads(answer.json["error_message"])
    assert inner["code"] == 406
    assert "1.1 to 1.115" in inner["description"]


def test_what_is_no_version_gets_406_without_version_headers(api) -> None:
    answer = api.at("soon").get("/v1/nodes")
    assert answer.status_code == 406
    assert not {MINIMUM, MAXIMUM, VERSION} & set(answer.headers.keys())


def test_the_root_tells_the_versions(api) -> None:
    default = api.at(None).get("/").json["default_version"]
    assert (default["id"], default["min_version"], default["version"]) == ("v1", "1.1", "1.115")


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_the_v1_document_tells_the_version_and_links(api, path) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert answer.json["version"]["version"] == "1.115"
    assert answer.json["nodes"][0] == {"href": "http://localhost/v1/nodes", "rel": "self"}
    assert "conductors" not in api.at("1.48").get(path).json


def test_head_works_on_v1_alone(api) -> None:
    assert api.call("HEAD", "/v1").status_code == 200
    assert api.call("HEAD", "/v1/nodes").status_code == 405
    assert api.call("HEAD", "/").status_code == 405


def test_options_is_answered(api) -> None:
    answer = api.call("OPTIONS", "/v1/nodes")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Allow"] == "GET, OPTIONS, POST"
    assert answer.headers[VERSION] == "1.115"
    page = {"Accept": "text/html"}
    assert api.call("OPTIONS", "/docs", headers=page).status_code == 200
    assert api.call("OPTIONS", "/v1/nodes", headers=page).status_code == 406


@pytest.mark.parametrize("path", ["/nodes", "/v1/nodes/", "/nodes/"])
def test_a_path_has_several_spellings(api, path) -> None:
    assert api.get(path).json == {"nodes": []}


@pytest.mark.parametrize("path", ["/v1/none", "/v1/nodes/a/b", "/v1//nodes"])
def test_an_unknown_path_is_the_routers_404(api, path) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert json.loads(answer.json["error_message"])["title"] == "Not Found"


def test_a_wrong_method_is_405_with_the_right_ones(api) -> None:
    answer = api.get("/v1/nodes/a/states/power")
    assert answer.status_code == 405
    assert "PUT" in answer.headers["Allow"]


def test_a_resource_newer_than_the_version_is_404(api) -> None:
    assert api.at("1.48").get("/v1/conductors").status_code == 404
    assert api.at("1.49").get("/v1/conductors").status_code == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("application/json; version=1", 200),
        ("text/html, application/json;version=1;q=0.5", 200),
        ("text/html, */*;q=0.1", 200),
        ("text/html", 406),
        ("application/json;version=1;q=0", 406),
    ],
)
def test_only_json_is_spoken(api, accept, status) -> None:
    assert api.get("/v1/nodes", headers={"Accept": accept}).status_code == status


def test_a_body_counts_whatever_its_content_type(api) -> None:
    body = b'{"driver": "fake-hardware"}'
    answer = api.post("/v1/nodes", body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/nodes"),
        ("PATCH", "/v1/nodes/a"),
        ("PUT", "/v1/nodes/a/states/provision"),
        ("PUT", "/v1/nodes/a/states/power"),
        ("POST", "/v1/ports"),
        ("POST", "/v1/heartbeat/a"),
        ("POST", "/v1/continue_inspection"),
        ("PUT", "/v1/nodes/a/management/boot_device"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(api, method, path) -> None:
    for body in (b"{", b"\xff", b"null", b"[]", b'"x"', b"7", b""):
        # An empty list is a patch that changes nothing, of a node that is not there.
        expected = 404 if (method, body) == ("PATCH", b"[]") else 400
        assert api.call(method, path, body).status_code == expected, body


def test_nesting_without_end_is_refused_in_the_guards_shape(api) -> None:
    answer = api.post("/v1/nodes", b'{"extra":' + b"[" * 100_000)
    assert answer.status_code == 400
    assert answer.json["faultcode"] == "Client"


def test_a_body_too_large_is_413_in_the_guards_shape(api) -> None:
    answer = api.post("/v1/nodes", b'{"extra": {"a": "' + b"x" * (1 << 20) + b'"}}')
    assert answer.status_code == 413
    assert set(answer.json) == {"faultcode", "faultstring"}


def test_an_unknown_argument_is_named(api) -> None:
    answer = api.get("/v1/nodes?colour=red")
    assert answer.status_code == 400
    assert api.fault(answer) == "Unexpected arguments: colour"


def test_an_argument_newer_than_the_version_is_406(api) -> None:
    assert api.at("1.8").get("/v1/nodes?provision_state=active").status_code == 406


def test_each_request_is_one_line_in_the_access_log(api, caplog) -> None:
    node = api.node(name="logged")
    caplog.set_level(logging.INFO, "api.access")
    answer = api.get("/v1/nodes/logged?fields=uuid")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "api.access"]
    assert line.startswith("GET '/v1/nodes/logged' 200 ")
    assert answer.headers["openstack-request-id"] in line
    assert f"node={node['uuid']}" in line
    assert "fields" not in line


def test_a_path_cannot_forge_a_line_of_the_log(api, caplog) -> None:
    caplog.set_level(logging.INFO, "api.access")
    api.get("/v1/nodes/a%0aPUT%20'/v1/nodes'")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "api.access"]
    assert "\n" not in line


def test_links_use_the_public_endpoint(settings, store, bus) -> None:
    import dataclasses

    from api.app import create_app

    public = dataclasses.replace(settings, public_endpoint="https://bm.example.com/api")
    client = create_app(public, store, bus).test_client()
    assert client.get("/").json["versions"][0]["links"][0]["href"] == (
        "https://bm.example.com/api/v1/"
    )


def test_a_broken_database_is_503_and_tells_no_secret(api, store, caplog) -> None:
    with store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE nodes RENAME TO machines")
    body = {"driver": "fake-hardware", "driver_info": {"ipmi_password": "hunter2"}}
    answer = api.post("/v1/nodes", body)
    assert answer.status_code == 503
    assert "nodes" not in answer.text
    assert "hunter2" not in caplog.text


def test_an_unexpected_failure_is_500_and_tells_no_secret(api, store, caplog) -> None:
    with store.write() as session:
        session.connection().exec_driver_sql("CREATE UNIQUE INDEX odd ON nodes (driver)")
    body = {"driver": "fake-hardware", "driver_info": {"ipmi_password": "hunter2"}}
    assert api.post("/v1/nodes", body).status_code == 201
    # The database says "nodes.driver", which no rule of ours expects.
    answer = api.post("/v1/nodes", body)
    assert answer.status_code == 500
    assert answer.headers["openstack-request-id"] in answer.text
    assert "unexpected failure" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_provisioning_network_app_serves_ramdisks_alone(settings, store, bus) -> None:
    from api.app import create_app

    client = create_app(settings, store, bus, ramdisk_only=True).test_client()
    newest = {VERSION: "1.115"}
    assert client.get("/", headers=newest).status_code == 200
    assert set(client.get("/v1", headers=newest).json) >= {"lookup", "heartbeat"}
    assert "nodes" not in client.get("/v1", headers=newest).json
    assert client.get("/v1/nodes", headers=newest).status_code == 404
    assert client.get("/v1/lookup", headers=newest).status_code == 400
    assert client.post("/v1/heartbeat/a", headers=newest).status_code == 400


@only_sqlite
def test_a_database_that_is_locked_is_told_from_one_that_fails(api, store) -> None:
    event.listen(store.engine, "connect", lambda made, _: made.execute("PRAGMA busy_timeout=0"))
    store.engine.dispose()
    with store.write() as session:
        session.connection()
        answer = api.post("/v1/nodes", {"driver": "fake-hardware"})
    assert answer.status_code == 503
    assert "did not answer in time" in api.fault(answer)
    with store.write() as session:
        session.connection().exec_driver_sql("DROP TABLE nodes")
    answer = api.post("/v1/nodes", {"driver": "fake-hardware"})
    assert answer.status_code == 503
    assert "in time" not in api.fault(answer)


def test_an_unknown_path_is_404(api) -> None:
    assert "could not be found" in api.get("/v1/portgroupz").json["error_message"]
