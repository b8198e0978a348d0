"""PostgreSQL as Debian packages it."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path

from cluster.engine import HOST, Engine
from drophammer.errors import DrophammerError, Unavailable


class PostgreSQL(Engine):
    """``durable`` off is for tests: what is committed survives a crash of ours, not of the host."""

    name = "PostgreSQL"
    user = "postgres"
    package = "postgresql"
    # "Fast shutdown": transactions are rolled back, connections closed.
    stop_signal = signal.SIGINT

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        durable: bool = True,
        connections: int = 400,
        listen: str = HOST,
    ) -> None:
        super().__init__(folder, port, listen=listen)
        self._durable = durable
        self._connections = connections

    @property
    def url(self) -> str:
        return self.url_of("drophammer")

    def url_of(self, database: str) -> str:
        """The URL of a database of this server."""
        return f"postgresql+psycopg://drophammer:{self._password}@{HOST}:{self.port}/{database}"

    def prepare(self) -> None:
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        secret = self.folder / "password"
        secret.write_text(secrets.token_urlsafe(24))
        secret.chmod(0o644)  # The folder is the server's alone.
        self.run(
            _program("initdb"),
            *("-D", str(self.folder / "data"), "-U", "drophammer", "--pwfile", str(secret)),
            *("-A", "scram-sha-256", "-E", "UTF8", "--no-sync"),
        )
        if self.listen != HOST:
            with (self.folder / "data" / "pg_hba.conf").open("a") as file:
                file.write("host all all 0.0.0.0/0 scram-sha-256\n")

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": self.listen,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": self._connections,
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return (_program("postgres"), "-D", str(self.folder / "data"), *options)

    def answers(self) -> bool:
        """Ready, and with a database for Drophammer."""
        try:
            found = self.sql("SELECT count(*) FROM pg_database WHERE datname = 'drophammer'")
            if found.strip() == "0":
                self.sql("CREATE DATABASE drophammer")
        except DrophammerError:
            return False
        return True

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the server's administrator; what it returns as text."""
        self._pgpass()
        return self.run(
            *(_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
            *("-h", str(self.folder), "-p", str(self.port), "-U", "drophammer"),
            *("-d", database, "-c", statement),
        ).stdout

    @property
    def _password(self) -> str:
        return (self.folder / "password").read_text()

    def _pgpass(self) -> None:
        path = self.folder / ".pgpass"
        if not path.exists():
            path.write_text(f"*:*:*:drophammer:{self._password}\n")
            _give(path, self.folder)


def _give(path: Path, like: Path) -> None:
    """A file for the owner of ``like`` alone."""
    owner = like.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(0o600)


def _program(name: str) -> str:
    """A program of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    if not found:
        raise Unavailable("PostgreSQL is not installed; install Debian's postgresql.")
    return str(found[-1])


def _version(path: Path) -> int:
    return int(path.parents[1].name) if path.parents[1].name.isdigit() else 0
