"""MariaDB as Debian packages it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from cluster.engine import HOST, Engine
from drophammer.errors import DrophammerError


class MariaDB(Engine):
    """``durable`` off is for tests, as with PostgreSQL."""

    name = "MariaDB"
    user = "mysql"
    package = "mariadb-server"

    def __init__(
        self, folder: Path, port: int, *, durable: bool = True, listen: str = HOST
    ) -> None:
        super().__init__(folder, port, listen=listen)
        self._durable = durable

    @property
    def url(self) -> str:
        return self.url_of("drophammer")

    def url_of(self, database: str) -> str:
        """The URL of a database of this server."""
        password = (self.folder / "password").read_text()
        return (
            f"mysql+pymysql://drophammer:{password}@{HOST}:{self.port}/{database}?charset=utf8mb4"
        )

    def prepare(self) -> None:
        if (self.folder / "data" / "mysql").exists():
            return
        (self.folder / "password").write_text(secrets.token_urlsafe(24))
        self.run(
            "/usr/bin/mariadb-install-db",
            *("--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        )

    def command(self) -> Sequence[str]:
        return (
            "/usr/sbin/mariadbd",
            *("--no-defaults", f"--datadir={self.folder / 'data'}"),
            *(f"--socket={self._socket}", f"--bind-address={self.listen}", f"--port={self.port}"),
            *("--skip-name-resolve", "--max-connections=400", "--innodb-buffer-pool-size=256M"),
            *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"),
            # What a reader sees is the last commit, as with the other engines.
            "--transaction-isolation=READ-COMMITTED",
            *(() if self._durable else ("--innodb-flush-log-at-trx-commit=0",)),
        )

    def answers(self) -> bool:
        """Ready, and with a user and a database for Drophammer."""
        password = (self.folder / "password").read_text()
        user = f"drophammer@'{HOST if self.listen == HOST else '%'}'"
        try:
            self.sql(
                "CREATE DATABASE IF NOT EXISTS drophammer; "
                f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}'; "
                f"GRANT ALL ON *.* TO {user}"
            )
        except DrophammerError:
            return False
        return True

    def sql(self, statement: str) -> str:
        """Run statements as the server's administrator; what they return as text."""
        return self.run(
            *("/usr/bin/mariadb", "--no-defaults", "-uroot", "-S", self._socket),
            *("-N", "-B", "-e", statement),
        ).stdout

    @property
    def _socket(self) -> str:
        return str(self.folder / "s.sock")
