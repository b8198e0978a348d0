"""A database of its own is killed, stopped, filled up and made read-only under the service.

What is asked meanwhile is told so soon; what was accepted goes on by itself afterwards.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.settings import Settings as ApiSettings
from cluster.lending import free_ports
from cluster.mariadb import MariaDB
from cluster.postgresql import PostgreSQL
from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer import engines
from drophammer.bus import LocalBus
from drophammer.model import Node
from drophammer.store import Store
from tests.patience import AT_ONCE, until

HEADERS = {"X-OpenStack-Ironic-API-Version": "1.90"}
# A connection that was used just now is waited for the longest.
SOON = engines.STATEMENT_SECONDS + engines.SILENCE_SECONDS + AT_ONCE
# MariaDB takes half of it before there is anything in it.
MEGABYTES = 300

Server = PostgreSQL | MariaDB


@pytest.fixture
def place() -> Iterator[Path]:
    """A small disk of its own for the server."""
    path = Path(tempfile.mkdtemp(prefix="drophammer-faults-"))
    path.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        shutil.rmtree(path)
        pytest.skip("only root may mount a small disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)
    path.rmdir()


@pytest.fixture(params=["postgresql", "mariadb"])
def server(place: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    made: Server
    if request.param == "postgresql":
        made = PostgreSQL(place / "postgresql", free_ports(1), connections=100)
    else:
        made = MariaDB(place / "mariadb", free_ports(1))
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Site:
    """API and conductor of one process on that server."""

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self.store.migrate()
        self.bus = LocalBus()
        self.settings = Settings(
            host="test",
            workers=4,
            heartbeat_interval=1,
            sweep_interval=1,
            fake_delays={"deploy": (4.0, 4.0)},
        )
        self.conductor = ConductorProcess(self.settings, self.store, self.bus)
        self.conductor.start()
        self.client = create_app(ApiSettings(), self.store, self.bus).test_client()

    def close(self) -> None:
        self.conductor.stop()
        self.bus.close()
        self.store.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.open(path, method=method, json=body, headers=HEADERS)

    def node(self, state: str = "available") -> str:
        made = self.ask("POST", "/v1/nodes", {"driver": "fake-hardware"})
        assert made.status_code == 201, made.text
        with self.store.write() as session:
            session.execute(
                update(Node)
                .where(Node.uuid == made.json["uuid"])
                .values(provision_state=state, power_state="power off")
            )
        return str(made.json["uuid"])

    def provision(self, uuid: str, target: str) -> Any:
        return self.ask("PUT", f"/v1/nodes/{uuid}/states/provision", {"target": target})

    def state(self, uuid: str) -> str:
        answer = self.ask("GET", f"/v1/nodes/{uuid}")
        return str(answer.json["provision_state"]) if answer.status_code == 200 else ""


@pytest.fixture
def site(server: Server) -> Iterator[Site]:
    made = Site(server.url)
    try:
        yield made
    finally:
        made.close()


def refused_soon(site: Site, uuid: str) -> None:
    """Reads and verbs are a 503 with a reason; what needs no database is answered."""
    for ask in (
        lambda: site.ask("GET", "/v1/nodes"),
        lambda: site.provision(uuid, "active"),
    ):
        began = time.monotonic()
        answer = ask()
        assert answer.status_code == 503, answer.text
        assert "The database did not answer in time" in answer.text
        assert time.monotonic() - began < SOON
    assert site.ask("GET", "/v1").status_code == 200
    assert site.ask("GET", "/healthz").status_code == 200


def operations(site: Site, uuid: str) -> int:
    return len(site.ask("GET", f"/v1/nodes/{uuid}/operations").json["operations"])


@pytest.mark.parametrize(("fault", "seconds"), [("killed", 20.0), ("stopped", 8.0)])
def test_a_server_that_is_away_is_told_and_what_was_accepted_ends_by_itself(
    site: Site, server: Server, fault: str, seconds: float
) -> None:
    deploying, idle = site.node(), site.node()
    assert site.provision(deploying, "active").status_code == 202
    began = time.monotonic()
    if fault == "killed":
        server.kill()
    else:
        server.pause()
    refused_soon(site, idle)
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    if fault == "killed":
        server.start()
    else:
        server.resume()
    until(lambda: site.state(deploying) == "active")
    assert operations(site, deploying) == 1
    # What was refused was not done after all.
    assert site.state(idle) == "available"
    assert operations(site, idle) == 0
    assert site.provision(idle, "active").status_code == 202
    until(lambda: site.state(idle) == "active")


def test_a_transaction_that_a_kill_cuts_off_leaves_nothing(site: Site, server: Server) -> None:
    uuid = site.node()

    def work() -> None:
        with site.store.write() as session:
            session.execute(update(Node).values(description="half"))
            server.kill()
            session.execute(select(Node.id)).all()

    with pytest.raises(SQLAlchemyError):
        work()
    server.start()
    until(lambda: site.state(uuid) == "available")
    assert site.ask("GET", f"/v1/nodes/{uuid}").json["description"] is None


def test_a_server_that_takes_no_changes_answers_reads_and_says_so(
    site: Site, server: Server
) -> None:
    uuid = site.node()
    read_only(server, "on")
    until(lambda: site.provision(uuid, "active").status_code == 503, pause=0.1)
    answer = site.provision(uuid, "active")
    assert "takes no changes" in answer.text
    assert site.state(uuid) == "available"
    assert operations(site, uuid) == 0
    read_only(server, "off")
    until(lambda: site.provision(uuid, "active").status_code == 202, pause=0.1)
    until(lambda: site.state(uuid) == "active")


def read_only(server: Server, value: str) -> None:
    """As a server becomes whose place another one has taken."""
    if isinstance(server, MariaDB):
        # Who may do all may also write then, and goes on with what it could when it connected.
        server.sql("REVOKE READ ONLY ADMIN ON *.* FROM drophammer@'127.0.0.1'")
        server.sql(f"SET GLOBAL read_only = {value}; KILL USER drophammer@'127.0.0.1'")
        return
    server.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.sql("SELECT pg_reload_conf()")


def test_a_full_disk_is_told_and_nothing_is_to_be_done_but_to_make_room(
    site: Site, server: Server, place: Path
) -> None:
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    answers: list[Any] = []

    def full() -> bool:
        body = {"driver": "fake-hardware", "extra": {"filler": "x" * 1500}}
        answers.append(site.ask("POST", "/v1/nodes", body))
        return bool(answers[-1].status_code == 503)

    until(full)
    assert "The disk of the database is full: make room there" in answers[-1].text
    assert site.ask("GET", "/v1/nodes").status_code == 200
    ballast.unlink()
    until(lambda: not full(), pause=0.1)
    accepted = sum(answer.status_code == 201 for answer in answers)
    listed = site.ask("GET", "/v1/nodes?limit=1000&fields=uuid").json["nodes"]
    assert len(listed) == min(accepted, 1000)


def test_changes_that_cross_are_done_or_refused_and_never_half_done(site: Site) -> None:
    uuids = [site.node("manageable") for _ in range(4)]
    statuses: list[int] = []

    def change(uuid: str, name: str) -> None:
        patch = [{"op": "add", "path": "/extra/who", "value": name}]
        statuses.extend(
            site.ask("PATCH", f"/v1/nodes/{uuid}", patch).status_code for _ in range(10)
        )

    threads = [
        threading.Thread(target=change, args=(uuid, name)) for uuid in uuids for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 409, 503}
    assert 200 in statuses
