"""The embedded service starts, says what listens where, refuses what is wrong, and stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.patience import AT_ONCE, PATIENCE, until


def ask(url: str, method: str = "GET", body: Any = None) -> Any:
    response = urllib3.request(
        method,
        url,
        body=None if body is None else json.dumps(body),
        headers={"X-OpenStack-Ironic-API-Version": "1.80"},
        retries=False,
        timeout=PATIENCE,
    )
    assert response.status < 300, response.data
    return json.loads(response.data) if response.data else None


def until_state(url: str, node: str, goal: str) -> None:
    until(lambda: ask(f"{url}/v1/nodes/{node}")["provision_state"] == goal, pause=0.02)


def test_it_prints_what_is_listening_where_and_serves_a_whole_life(serve: Any) -> None:
    served = serve()
    table = served.until("Ctrl-C stops it.")
    assert f"api           {served.url}" in table
    assert "auth: noauth" in table
    assert "tftp          127.0.0.1:" in table
    assert "fake-hardware, ipmi" in table
    node = ask(f"{served.url}/v1/nodes", "POST", {"driver": "fake-hardware"})["uuid"]
    for verb, goal in (("manage", "manageable"), ("provide", "available"), ("active", "active")):
        ask(f"{served.url}/v1/nodes/{node}/states/provision", "PUT", {"target": verb})
        until_state(served.url, node, goal)
    operations = ask(f"{served.url}/v1/nodes/{node}/operations")["operations"]
    assert [(o["verb"], o["state"]) for o in operations] == [
        ("active", "done"),
        ("provide", "done"),
        ("manage", "done"),
    ]
    events = ask(f"{served.url}/v1/nodes/{node}/events")["events"]
    assert "deploying -> active" in [event["message"] for event in events]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_it_waits_for_no_client(serve: Any, number: int) -> None:
    served = serve()
    served.until("Ctrl-C stops it.")
    idle = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])))
    half_sent = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])))
    half_sent.sendall(b"GET /v1 HTTP/1.1\r\nHost: x\r\n")
    assert served.stop(number) < AT_ONCE
    assert served.process.returncode == 0
    served.until("Stopped.")
    idle.close()
    half_sent.close()


def test_what_it_knew_is_there_after_a_restart(serve: Any) -> None:
    first = serve()
    first.until("Ctrl-C stops it.")
    node = ask(f"{first.url}/v1/nodes", "POST", {"driver": "fake-hardware", "name": "a"})
    first.stop()
    second = serve()
    second.until("Ctrl-C stops it.")
    assert ask(f"{second.url}/v1/nodes/a")["uuid"] == node["uuid"]


def failed(served: Any) -> str:
    assert served.process.wait(PATIENCE) == 1
    text = served.process.stdout.read().decode()
    assert "Traceback" not in text
    return str(text)


def test_without_authentication_it_listens_on_loopback_only(serve: Any) -> None:
    assert "http_basic" in failed(serve(listen="0.0.0.0:0"))


def test_an_address_in_use_is_named(serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = failed(serve(listen=f"127.0.0.1:{port}"))
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in text
    assert "--listen" in text


def test_a_state_folder_that_cannot_be_used_is_named(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    text = failed(serve())
    assert str(tmp_path / "state") in text
    assert "--state-dir" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[api]\nport = many\n", "port"),
        ("[DEFAULT]\nenabled_hardware_types = ipmi, toaster\n", "toaster"),
        ("[fake]\ndeploy_delay = soon\n", "deploy_delay"),
        ("[conductor]\nnetwork_namespace = nowhere\n", "'nowhere' cannot be entered"),
        ("[conductor]\nheartbeat_timeout = 15\n", "heartbeat_interval"),
        ("not a configuration", "drophammer.conf"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_place(
    serve: Any, config: Path, text: str, words: str
) -> None:
    config.write_text(config.read_text() + text)
    assert words in failed(serve())


def test_roles_can_be_switched_off(serve: Any) -> None:
    served = serve("--no-netboot")
    table = served.until("Ctrl-C stops it.")
    assert "tftp" not in table
    assert ask(f"{served.url}/v1/drivers")["drivers"]


def test_roles_can_be_chosen(serve: Any) -> None:
    served = serve("--role", "api,conductor")
    table = served.until("Ctrl-C stops it.")
    assert "tftp" not in table
    assert "conductor" in table
    assert ask(f"{served.url}/v1/drivers")["drivers"]


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(serve: Any) -> None:
    served = serve("--role", "api,janitor")
    text = served.process.communicate()[0].decode()
    assert served.process.returncode == 2
    assert "there is no role 'janitor'; use api, conductor, netboot, or all" in text


def test_nothing_is_monkey_patched() -> None:
    script = (
        "import embedded.service, embedded.serve, socket, threading, time, sys\n"
        "assert socket.socket.__module__ == 'socket', socket.socket.__module__\n"
        "assert time.sleep.__module__ == 'time' and not sys.modules.get('eventlet')\n"
        "assert threading.Thread.__module__ == 'threading'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)


def test_an_unknown_command_is_answered_with_those_that_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "embedded", "fly"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no command 'fly'" in done.stderr
    assert "serve" in done.stderr


def test_a_second_service_does_not_take_the_state_of_the_first(serve: Any) -> None:
    first = serve()
    first.until("Ctrl-C stops it.")
    text = failed(serve("--no-netboot"))
    assert f"in use by process {first.process.pid}" in text
    assert ask(f"{first.url}/v1/conductors")["conductors"][0]["alive"] is True


def test_nothing_to_run_is_refused(serve: Any) -> None:
    assert "nothing to run" in failed(serve("--no-api", "--no-conductor", "--no-netboot"))


def test_passwords_without_a_file_of_users_are_refused(serve: Any, config: Path) -> None:
    config.write_text(
        "[DEFAULT]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = /nowhere/users\n"
    )
    assert "/nowhere/users cannot be read" in failed(serve())


def test_a_log_file_that_cannot_be_written_is_named(serve: Any) -> None:
    assert "--log-file /nowhere/x.log" in failed(serve("--log-file", "/nowhere/x.log"))


def test_a_port_that_is_none_is_named(serve: Any) -> None:
    assert "99999 is no port" in failed(serve(listen="127.0.0.1:99999"))


def test_an_option_that_does_not_exist_is_pointed_out(serve: Any, config: Path) -> None:
    config.write_text(config.read_text() + "[conductor]\nwokers_pool_size = 3\n")
    assert "[conductor] wokers_pool_size is no option" in serve().until("Ctrl-C stops it.")


def test_only_the_service_can_read_its_state(serve: Any, tmp_path: Path) -> None:
    serve().until("Ctrl-C stops it.")
    state = tmp_path / "state"
    # What machines boot is for servers of other users, too, and nothing secret.
    public = state / "boot-resources"
    for path in (state, *state.rglob("*")):
        if not path.is_relative_to(public):
            assert path.stat().st_mode & 0o007 == 0, path


def test_the_roles_also_meet_over_oslo_messaging(serve: Any, config: Path) -> None:
    config.write_text("[DEFAULT]\ntransport_url = fake://\n" + config.read_text())
    served = serve()
    served.until("Ctrl-C stops it.")
    node = ask(f"{served.url}/v1/nodes", "POST", {"driver": "fake-hardware"})["uuid"]
    ask(f"{served.url}/v1/nodes/{node}/states/provision", "PUT", {"target": "manage"})
    until_state(served.url, node, "manageable")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nenabled_hardware_types = ipmi, redfsh\n", "redfsh"),
        ("[DEFAULT]\ndefault_boot_interface = zz\n", "default_boot_interface = zz"),
        ("[DEFAULT]\nlog_level = CHATTY\n", "[DEFAULT] log_level: "),
        ("[DEFAULT]\nbogus_option = 1\n", "[DEFAULT] bogus_option"),
        ("[DEFAULT]\nauth_strategy = http_basic\n", "htpasswd"),
    ],
)
def test_a_configuration_is_checked_as_serve_would(
    run: Any, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "c.conf"
    path.write_text(text)
    code, _, complaint = run("config", "check", str(path))
    assert code == 1
    assert words in complaint
    assert "LocationInfo" not in complaint


def test_a_good_configuration_is_said_to_be_good(run: Any, config: Path) -> None:
    code, _, complaint = run("config", "check", str(config))
    assert code == 0, complaint
