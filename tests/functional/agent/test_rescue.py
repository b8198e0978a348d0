"""``rescue.finalize_rescue``: the user, the SSH server, and an agent that leaves."""

import queue
import socket
import stat
from urllib.parse import urlsplit

import pytest

from agent import rescue
from agent.errors import RescueError
from tests.patience import PATIENCE

HASH = "$2b$10$" + "a" * 53


def answers(url):
    """Whether somebody takes a connection. Without TLS: Python's leaks one that is reset early."""
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as made:
            made.sendall(b"no TLS")
            return bool(made.recv(1))
    except ConnectionError:
        return False


@pytest.fixture
def root(tmp_path):
    """A ramdisk's files, with programs that note how they were started."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    server = root / "usr/sbin/dropbear"
    server.parent.mkdir(parents=True)
    server.write_text(f'#!/bin/sh\necho "$@" > {root}/started\n')
    server.chmod(0o755)
    return root


@pytest.fixture(autouse=True)
def mounts(tmp_path, monkeypatch):
    """A ``mount`` that mounts nothing."""
    program = tmp_path / "bin/mount"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/mounted\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path / "mounted"


def test_a_user_with_the_password_is_made_and_the_server_started(root, mounts):
    rescue.let_in("$6$old$" + "b" * 20, str(root))
    rescue.let_in(HASH, str(root))
    users = (root / "etc/passwd").read_text().splitlines()
    assert users == ["root:x:0:0:root:/root:/bin/sh", "rescue:x:0:0:rescue:/root:/bin/sh"]
    assert (root / "etc/shadow").read_text().splitlines() == [f"rescue:{HASH}:19000::::::"]
    assert stat.S_IMODE((root / "etc/shadow").stat().st_mode) == 0o600
    assert (root / "started").read_text() == "-R\n"
    assert mounts.read_text() == f"-t devpts devpts {root}/dev/pts\n"


def test_a_ramdisk_without_a_server_says_so(root):
    (root / "usr/sbin/dropbear").unlink()
    with pytest.raises(RescueError, match="no SSH server"):
        rescue.let_in(HASH, str(root))
    assert not (root / "etc/shadow").exists()


def test_a_server_that_does_not_start_is_told_with_what_it_said(root):
    (root / "usr/sbin/dropbear").write_text("#!/bin/sh\necho 'port in use' >&2\nexit 1\n")
    with pytest.raises(RescueError, match="port in use"):
        rescue.let_in(HASH, str(root))


def test_the_agent_answers_and_then_leaves(conductor, start_agent, make_client, root):
    running = start_agent(root=str(root))
    client = make_client(conductor.heartbeats.get(timeout=PATIENCE))
    status, result = client.command("rescue.finalize_rescue", rescue_password=HASH, hashed=True)
    assert (status, result["command_status"]) == (200, "SUCCEEDED")
    running.thread.join(PATIENCE)
    assert not running.thread.is_alive()
    assert running.error is None
    assert not running.off.is_set()
    assert not answers(client.url)
    with pytest.raises(queue.Empty):
        conductor.heartbeats.get_nowait()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"rescue_password": HASH},
        {"rescue_password": "plain words", "hashed": True},
        {"rescue_password": HASH + "\nroot::0:0::/:/bin/sh", "hashed": True},
        {"rescue_password": HASH + ":", "hashed": True},
        {"rescue_password": 7, "hashed": True},
    ],
)
def test_what_is_no_hash_is_refused_and_the_agent_stays(
    conductor, start_agent, make_client, root, params
):
    start_agent(root=str(root))
    client = make_client(conductor.heartbeats.get(timeout=PATIENCE))
    status, answer = client.command("rescue.finalize_rescue", **params)
    assert status == 400
    assert "plain words" not in str(answer)
    assert client.call("GET", "/v1/commands/") == (200, {"commands": []})
    assert not (root / "etc/shadow").exists()
