"""HTTP basic authentication."""

from __future__ import annotations

import base64
import dataclasses

import bcrypt
import pytest

from api.app import create_app

MAC = "52:54:00:12:34:56"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def header(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "htpasswd"
    apache = hashed("s3cret").replace("$2b$", "$2y$")
    empty = hashed("x")
    path.write_text(
        f":{empty}\nadmin:{apache}\nold:{{SHA}}abc=\nplain:s3cret\nlong:{hashed('x' * 72)}\n"
    )
    return path


@pytest.fixture
def client(settings, store, bus, users):
    basic = dataclasses.replace(
        settings, auth_strategy="http_basic", http_basic_auth_user_file=str(users)
    )
    return create_app(basic, store, bus).test_client()


def test_the_conductor_is_told_who_asks_for_a_verb(client, conductor) -> None:
    known = header("admin", "s3cret")
    body = {"driver": "fake-hardware", "name": "rack-1"}
    version = {"X-OpenStack-Ironic-API-Version": "1.50"}
    assert client.post("/v1/nodes", json=body, headers=known | version).status_code == 201
    path = "/v1/nodes/rack-1/states/provision"
    answer = client.put(path, json={"target": "manage"}, headers=known | version)
    assert answer.status_code == 202
    assert conductor.next()[1]["request"]["user"] == "admin"


def test_the_right_password_opens(client) -> None:
    assert client.get("/v1/nodes", headers=header("admin", "s3cret")).status_code == 200


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("admin", "wrong"),
        ("admin", ""),
        ("nobody", "s3cret"),
        ("", "x"),
        ("plain", "s3cret"),
        ("old", "x"),
    ],
)
def test_a_wrong_password_is_401(client, user, password) -> None:
    answer = client.get("/v1/nodes", headers=header(user, password))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Baremetal API"'
    assert answer.json["error"]["code"] == 401


def test_no_password_is_401_on_unknown_paths_too(client) -> None:
    assert client.get("/v1/nodes").status_code == 401
    assert client.get("/v1/none").status_code == 401


@pytest.mark.parametrize("value", ["Bearer x", "Basic", "Basic ???", "Basic YWJj"])
def test_a_header_that_cannot_be_read_is_400(client, value) -> None:
    answer = client.get("/v1/nodes", headers={"Authorization": value})
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == 400


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", f"/v1/lookup?addresses={MAC}"])
def test_what_ramdisks_and_discovery_need_is_open(client, path) -> None:
    assert client.get(path, headers={"OpenStack-API-Version": "baremetal 1.62"}).status_code != 401


def test_heartbeats_and_inspection_data_are_open(client) -> None:
    newest = {"OpenStack-API-Version": "baremetal 1.84"}
    assert client.post("/v1/heartbeat/x", headers=newest).status_code == 400
    assert client.post("/v1/continue_inspection", headers=newest).status_code == 400


def test_a_changed_file_counts_at_once(client, users) -> None:
    right = header("admin", "s3cret")
    assert client.get("/v1/nodes", headers=right).status_code == 200
    users.write_text(f"admin:{hashed('other')}\n")
    assert client.get("/v1/nodes", headers=right).status_code == 401
    assert client.get("/v1/nodes", headers=header("admin", "other")).status_code == 200


def test_a_missing_file_lets_nobody_in(client, users) -> None:
    users.unlink()
    assert client.get("/v1/nodes", headers=header("admin", "s3cret")).status_code == 401


def test_a_password_of_more_than_72_bytes_is_cut_as_htpasswd_does(client) -> None:
    assert client.get("/v1/nodes", headers=header("long", "x" * 90)).status_code == 200


def test_the_log_names_the_user_and_no_password(client, caplog) -> None:
    caplog.set_level(0)
    client.get("/v1/nodes", headers=header("admin", "s3cret"))
    assert "user='admin'" in caplog.text
    assert "s3cret" not in caplog.text


def test_asking_for_the_options_needs_no_password(client) -> None:
    answer = client.options("/v1/nodes")
    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]
