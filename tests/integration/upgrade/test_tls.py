"""Roles that speak TLS with PostgreSQL and RabbitMQ, configured as docs/production.md has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import urllib3

from cluster.lending import free_ports
from cluster.postgresql import PostgreSQL
from cluster.rabbitmq import RabbitMQ
from cluster.role import Role
from drophammer import schema
from drophammer.errors import Unavailable
from tests.patience import PATIENCE

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(180)]


class Certificates:
    """An authority, and a certificate of 127.0.0.1 by it; files that anybody may read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority, self.other = folder / "ca.crt", folder / "other.crt"
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        for made in (self.authority, self.other):
            key = made.with_suffix(".key")
            self._openssl(*new, "-subj", f"/CN={made.stem}", "-keyout", key, "-out", made)
        request = folder / "server.csr"
        self._openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", request),
        )
        by = ("-CA", self.authority, "-CAkey", self.authority.with_suffix(".key"))
        self._openssl(
            *("x509", "-req", "-in", request, *by, "-CAcreateserial", "-days", "2"),
            *("-copy_extensions", "copy", "-out", self.certificate),
        )
        for file in folder.iterdir():
            file.chmod(0o644)

    @staticmethod
    def _openssl(*arguments: object) -> None:
        command = ["openssl", *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)


class SafePostgreSQL(PostgreSQL):
    """It takes connections over TLS only."""

    files: Certificates

    def command(self) -> Sequence[str]:
        own = self.folder / "server.key"
        own.write_bytes(self.files.key.read_bytes())
        shutil.chown(own, "postgres", "postgres")
        own.chmod(0o600)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(
            "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        settings = ("ssl=on", f"ssl_cert_file={self.files.certificate}", f"ssl_key_file={own}")
        return (*super().command(), *(word for one in settings for word in ("-c", one)))


class SafeRabbitMQ(RabbitMQ):
    """It listens for TLS only."""

    files: Certificates

    def prepare(self) -> None:
        super().prepare()
        path = self.folder / "rabbitmq.conf"
        kept = [line for line in path.read_text().splitlines() if "listeners" not in line]
        told = (
            "listeners.tcp = none",
            f"listeners.ssl.default = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {self.files.authority}",
            f"ssl_options.certfile = {self.files.certificate}",
            f"ssl_options.keyfile = {self.files.key}",
            "ssl_options.verify = verify_none",
            "ssl_options.fail_if_no_peer_cert = false",
        )
        path.write_text("\n".join([*kept, *told, ""]))


@pytest.fixture
def place() -> Iterator[Path]:
    for needed in ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/lib/postgresql"):
        if not Path(needed).exists():
            pytest.skip(f"{needed} is not installed; `make test` does that")
    folder = Path(tempfile.mkdtemp(prefix="drophammer-tls-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def files(place: Path) -> Certificates:
    return Certificates(place / "tls")


@pytest.fixture
def database(place: Path, files: Certificates) -> Iterator[SafePostgreSQL]:
    made = SafePostgreSQL(place / "postgresql", free_ports(1), durable=False)
    made.files = files
    made.start()
    yield made
    made.stop()


@pytest.fixture
def broker(place: Path, files: Certificates) -> Iterator[SafeRabbitMQ]:
    made = SafeRabbitMQ(place / "rabbitmq", free_ports(3))
    made.files = files
    made.start()
    yield made
    made.stop()


def verified(database: PostgreSQL, authority: Path) -> str:
    return f"{database.url}?sslmode=verify-full&sslrootcert={authority}"


def test_a_node_is_deployed_over_tls_only(
    place: Path,
    files: Certificates,
    database: SafePostgreSQL,
    broker: SafeRabbitMQ,
    ready: Callable[..., None],
) -> None:
    port = free_ports(2)
    options: dict[str, dict[str, Any]] = {
        "DEFAULT": {"transport_url": broker.url},
        "database": {"connection": verified(database, files.authority)},
        "oslo_messaging_rabbit": {"ssl": True, "ssl_ca_file": files.authority},
    }
    api = Role(place / "api", port, "api", "api", options)
    watched = {**options, "serve": {"monitor_listen": f"127.0.0.1:{port + 1}"}}
    conductor = Role(place / "conductor", port + 1, "conductor", "conductor", watched)
    try:
        api.start()
        conductor.start()
        ready(conductor, api)
        ask(api, "POST", "", {"name": "n", "driver": "fake-hardware"})
        for verb, state in (("manage", "manageable"), ("provide", "available"), ("active",) * 2):
            ask(api, "PUT", "/n/states/provision", {"target": verb})
            end = time.monotonic() + PATIENCE
            while ask(api, "GET", "/n")["provision_state"] != state:
                assert time.monotonic() < end
                time.sleep(0.05)
        query = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE "
        assert int(database.sql(f"{query} ssl AND datname = 'drophammer'")) > 0
    finally:
        conductor.stop()
        api.stop()


def ask(api: Role, method: str, path: str, body: Any = None) -> Any:
    headers = {"X-OpenStack-Ironic-API-Version": "1.95"}
    url = f"{api.url}/v1/nodes{path}"
    answer = urllib3.request(
        method, url, json=body, headers=headers, retries=False, timeout=PATIENCE
    )
    assert answer.status < 300, answer.data
    return json.loads(answer.data) if answer.data else None


def test_a_database_whose_certificate_is_somebody_elses_is_not_spoken_to(
    files: Certificates, database: SafePostgreSQL
) -> None:
    with pytest.raises(Unavailable, match="certificate verify failed"):
        schema.migrate(verified(database, files.other))
    with pytest.raises(Unavailable):
        schema.migrate(f"{database.url}?sslmode=disable")
    assert schema.migrate(verified(database, files.authority))
