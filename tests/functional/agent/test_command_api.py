"""The command API over real TLS: paths, tokens, errors, hostile peers."""

import contextlib
import socket
import ssl
import threading

import pytest

from tests.patience import PATIENCE


def test_the_root_and_v1_show_links_without_a_token(client):
    for path in ("/", "/v1/", "/v1"):
        status, body = client.call("GET", path, token="")
        assert status == 200
        assert body["links"][0]["href"].startswith(client.url)


@pytest.mark.parametrize("path", ["/v1/status", "/status", "/v1/status/"])
def test_the_status_needs_no_token(client, path):
    status, body = client.call("GET", path, token="")
    assert status == 200
    assert body["version"] == "13.0.0"
    assert isinstance(body["started_at"], float)


@pytest.mark.parametrize("path", ["/v1/commands/", "/v1/commands", "/commands/", "/commands"])
def test_commands_are_listed_with_and_without_v1_and_slash(client, path):
    assert client.call("GET", path) == (200, {"commands": []})


@pytest.mark.parametrize("token", ["", "x", "t" * 42, "T" * 43, "%C3%A9"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/commands/"), ("POST", "/v1/commands/"), ("GET", "/v1/commands/some-id")],
)
def test_a_wrong_or_missing_token_is_refused(client, method, path, token):
    body = {"name": "standby.sync", "params": {}} if method == "POST" else None
    status, answer = client.call(method, path, body, token=token)
    assert status == 401
    assert answer["faultcode"] == "Client"
    assert "oken invalid" in answer["faultstring"]
    assert answer["code"] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b'{"name": "standby.sync"}',
        b'{"params": {}}',
        b'{"name": "sync", "params": {}}',
        b'{"name": 7, "params": {}}',
        b'{"name": "standby.unknown", "params": {}}',
        b'{"name": "standby.sync", "params": []}',
        b'{"name": "standby.sync", "params": {"x": 1}}',
        b'{"name": "clean.get_clean_steps", "params": {}}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_command_is_a_bad_request(client, body):
    status, answer = client.call("POST", "/v1/commands/", body)
    assert status == 400
    assert {"faultcode", "faultstring", "type", "code", "message", "details"} <= set(answer)
    assert client.call("GET", "/v1/commands/")[1] == {"commands": []}


def test_an_unknown_extension_is_not_found(client):
    assert client.command("flow.start_flow")[0] == 404


def test_unknown_paths_and_ids_are_not_found(client):
    for path in ("/v2/", "/v1/nothing", "/v1/commands/1/2", "/v1/commands/unknown"):
        assert client.call("GET", path)[0] == 404


def test_a_synchronous_command_is_complete_without_waiting(client):
    status, result = client.command("standby.sync", wait=False)
    assert status == 200
    assert result["command_status"] == "SUCCEEDED"
    assert result["command_result"] == {"result": "all disks are in sync"}
    assert client.call("GET", f"/v1/commands/{result['id']}") == (200, result)


def test_power_off_comes_after_the_answer(conductor, start_agent, make_client):
    agent = start_agent()
    client = make_client(conductor.heartbeats.get(timeout=PATIENCE))
    assert client.command("standby.power_off", wait=False)[0] == 200
    assert agent.off.wait(PATIENCE)
    assert not agent.restarted.is_set()


def test_run_image_restarts(conductor, start_agent, make_client):
    agent = start_agent()
    client = make_client(conductor.heartbeats.get(timeout=PATIENCE))
    client.command("standby.run_image")
    assert agent.restarted.wait(PATIENCE)


def test_the_steps_are_offered_in_the_shape_of_the_contract(client):
    result = client.finished("clean.get_clean_steps", node={}, ports=[])["command_result"]
    assert result["hardware_manager_version"] == {"drophammer_agent": "1"}
    (steps,) = result["clean_steps"].values()
    assert {step["step"]: step["priority"] for step in steps} == {
        "erase_devices": 10,
        "erase_devices_metadata": 99,
    }
    assert all(step["interface"] == "deploy" for step in steps)
    result = client.finished("deploy.get_deploy_steps", node={}, ports=[])["command_result"]
    (steps,) = result["deploy_steps"].values()
    write = next(step for step in steps if step["step"] == "write_image")
    assert write["argsinfo"]["image_info"]["required"] is True


def test_for_a_deployed_machine_no_step_is_offered_and_none_is_run(client):
    result = client.finished("service.get_service_steps", node={}, ports=[])["command_result"]
    assert list(result["service_steps"].values()) == [[]]
    step = {"step": "erase_devices", "interface": "deploy"}
    result = client.finished("service.execute_service_step", step=step, node={}, ports=[])
    assert result["command_status"] == "FAILED"
    assert "no service step" in result["command_error"]["message"]


def test_steps_of_another_version_are_refused(client):
    step = {"step": "erase_devices_metadata", "interface": "deploy"}
    result = client.finished(
        "clean.execute_clean_step", step=step, node={}, ports=[], clean_version={"other": "2"}
    )
    assert result["command_status"] == "CLEAN_VERSION_MISMATCH"


def test_an_unknown_step_fails_and_is_named(client):
    step = {"step": "brew_coffee", "interface": "deploy"}
    result = client.finished("deploy.execute_deploy_step", step=step, node={}, ports=[])
    assert result["command_status"] == "FAILED"
    assert "brew_coffee" in result["command_error"]["message"]


def test_the_inventory_is_given_on_demand(client):
    result = client.finished("poll.get_hardware_info")["command_result"]
    assert result["interfaces"][0]["name"] == "eth0"


def test_logs_are_collected(client):
    assert client.finished("log.collect_system_logs")["command_result"]["system_logs"]


def address(client):
    host, _, port = client.url.partition("://")[2].partition(":")
    return host, int(port)


def test_silent_peers_hold_up_nobody(client):
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(address(client)))
        assert client.call("GET", "/v1/status")[0] == 200


def test_a_peer_that_speaks_no_tls_is_dropped(client):
    with socket.create_connection(address(client), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1000):
                pass
    assert client.call("GET", "/v1/status")[0] == 200


def raw(client, data):
    plain = socket.create_connection(address(client), timeout=PATIENCE)
    with client.context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(data)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def test_a_huge_body_is_refused_before_it_is_sent(client):
    head = b"POST /v1/commands/?agent_token=%s HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n"
    answer = raw(client, head % client.token.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_without_a_token_the_body_is_not_awaited(client):
    answer = raw(client, b"POST /v1/commands/ HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_body_of_unknown_length_is_refused(client):
    head = b"POST /v1/commands/?agent_token=%s HTTP/1.1\r\nContent-Length: many\r\n\r\n"
    assert raw(client, head % client.token.encode()).startswith(b"HTTP/1.1 400 ")


def test_an_older_tls_than_the_conductor_wants_is_refused(client):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(address(client), timeout=PATIENCE) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain)


def test_the_certificate_passes_a_strict_verification(client):
    client.context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert client.call("GET", "/v1/status")[0] == 200


def test_many_requests_at_once_are_all_answered(client):
    statuses = []

    def ask():
        statuses.append(client.call("GET", "/v1/status")[0])

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 24


def test_the_token_is_in_no_line_that_the_agent_says(client, capfd):
    client.finished("standby.sync")
    client.call("GET", "/v1/commands/", token="wrong")
    assert client.token not in capfd.readouterr().out
