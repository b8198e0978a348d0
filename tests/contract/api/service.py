"""``drophammer serve`` as a process with fake-hardware, and how the clients are pointed at it."""

from __future__ import annotations

import os
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.patience import PATIENCE

# With passwords little differs but the passwords: all of it again is for `make test`.
MODES = ("noauth", pytest.param("http_basic", marks=pytest.mark.slow))
HOST = "contract-1"
USER, PASSWORD = "operator", "correct horse"
# The last line of the table that is printed when all is listening.
UP = b"Ctrl-C stops it."


@dataclass(frozen=True)
class Service:
    """One running service, as its clients know it."""

    mode: str
    url: str
    folder: Path

    @property
    def users(self) -> Path:
        """The file of users, empty of meaning without passwords."""
        return self.folder / "htpasswd"

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "service.log").read_text(errors="replace")

    @property
    def cloud(self) -> dict[str, Any]:
        """What openstacksdk's clouds.yaml says of it."""
        auth = {"endpoint": self.url}
        if self.mode == "noauth":
            return {"auth_type": "none", "auth": auth, "baremetal_endpoint_override": self.url}
        auth |= {"username": USER, "password": PASSWORD}
        return {"auth_type": "http_basic", "auth": auth}

    @property
    def environment(self) -> dict[str, str]:
        """What the baremetal command is told by its environment."""
        # Exported settings of a cloud would lead the client elsewhere.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        if self.mode == "noauth":
            return clean | {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": self.url}
        return clean | {
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": self.url,
            "OS_USERNAME": USER,
            "OS_PASSWORD": PASSWORD,
        }


@contextmanager
def running(mode: str, folder: Path, more: str = "") -> Iterator[Service]:
    """The service until the block ends; then nothing in its log may be a programming error.

    ``more`` are lines for the section DEFAULT of its configuration.
    """
    folder.mkdir()
    port = _free_port()
    service = Service(mode, f"http://127.0.0.1:{port}", folder)
    add_user(service.users, USER, PASSWORD)
    config = folder / "drophammer.conf"
    config.write_text(
        f"[DEFAULT]\nhost = {HOST}\nauth_strategy = {mode}\n"
        f"http_basic_auth_user_file = {service.users}\n{more}"
    )
    command = [sys.executable, "-m", "embedded", "serve", "--no-netboot"]
    command += ["--config-file", str(config), "--state-dir", str(folder / "state")]
    command += ["--listen", f"127.0.0.1:{port}", "--log-file", str(folder / "service.log")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        _wait_until_up(process)
        yield service
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()
    traced = re.findall(r"Traceback.*?\n(?=\S*\d{4}-\d\d-\d\d|\Z)", service.log, re.DOTALL)
    assert not traced, traced[0]


def add_user(users: Path, name: str, password: str) -> None:
    """A line for the file of users; its hash is as cheap as bcrypt allows."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    with users.open("a") as file:
        file.write(f"{name}:{hashed}\n")


def _wait_until_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    told = b""
    end = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while UP not in told:
            ready = selector.select(end - time.monotonic())
            chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
            assert chunk, f"the service did not come up: {told.decode()}"
            told += chunk


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
