"""Which processes a cluster consists of, on which ports, with which configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.engine import HOST, Engine
from cluster.haproxy import HAProxy
from cluster.mariadb import MariaDB
from cluster.postgresql import PostgreSQL
from cluster.rabbitmq import RabbitMQ
from cluster.role import Role

FIRST_PORT = 26385
# Distances from the first port.
_API, _CONDUCTOR, _NETBOOT, _DATABASE, _RABBIT = 1, 20, 40, 50, 60

Options = dict[str, dict[str, object]]


@dataclass(frozen=True)
class Plan:
    """``options``: what every process has in its configuration besides its own.

    ``more``: and what a process has that is alone in it, by its name. ``listen``: where the
    engines do; ``seen_at``: under which address a process finds them. ``variables``: what is in
    the environment of a process. ``together``: so many of the APIs, the first ones, have a
    conductor in their processes.
    """

    folder: Path
    first_port: int = FIRST_PORT
    apis: int = 2
    conductors: int = 3
    database: str = "postgresql"
    durable: bool = True
    options: Options = field(default_factory=dict)
    more: dict[str, Options] = field(default_factory=dict)
    listen: str = HOST
    seen_at: dict[str, str] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    together: int = 0


class Cluster:
    """All processes of one deployment on this machine. Nothing runs before ``start``."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        folder, port = plan.folder, plan.first_port
        database = {"postgresql": PostgreSQL, "mariadb": MariaDB}[plan.database]
        self.database: PostgreSQL | MariaDB = database(
            folder / plan.database, port + _DATABASE, durable=plan.durable, listen=plan.listen
        )
        self.broker = RabbitMQ(folder / "rabbitmq", port + _RABBIT, listen=plan.listen)
        self.apis = [port + _API + number for number in range(plan.apis)]
        self.balancer = HAProxy(folder / "haproxy", port, self.apis)
        self.roles: list[Role] = []

    @property
    def url(self) -> str:
        """Where clients find the API."""
        return self.balancer.url

    def start(self) -> None:
        """Engines first, then who needs them, the door last. What was started stays on failure."""
        self.plan.folder.mkdir(parents=True, exist_ok=True)
        self.plan.folder.chmod(0o755)
        self.database.start()
        self.broker.start()
        self.roles = self._roles()
        for role in self.roles:
            role.start()
        self.balancer.start()

    def stop(self) -> None:
        """The reverse."""
        for member in reversed(self.members()):
            member.stop()

    def members(self) -> Sequence[Engine]:
        """Everything that runs, in the order in which it is started."""
        return (self.database, self.broker, *self.roles, self.balancer)

    def conductors(self) -> Sequence[Role]:
        return [role for role in self.roles if role.roles == "conductor"]

    def _roles(self) -> list[Role]:
        # The API must come before the others: the first to start brings the schema.
        plan, first = self.plan, self.plan.first_port
        made = []
        for number, port in enumerate(self.apis, 1):
            roles = "api,conductor" if number <= plan.together else "api"
            made.append(self._role(f"api-{number}", roles, port, {}))
        netboot: Options = {
            "netboot": {
                "address": HOST,
                "http_port": first + _NETBOOT + 1,
                "tftp_port": first + _NETBOOT + 2,
            }
        }
        made.append(self._role("netboot", "netboot", first + _NETBOOT, netboot))
        return made + [
            self._role(f"conductor-{number}", "conductor", first + _CONDUCTOR + number, {})
            for number in range(1, plan.conductors + 1)
        ]

    def _role(self, name: str, role: str, port: int, own: Options) -> Role:
        plan = self.plan
        broker, database = (
            url.replace(f"@{HOST}:", f"@{plan.seen_at.get(name, HOST)}:")
            for url in (self.broker.url, self.database.url)
        )
        options: Options = {
            "DEFAULT": {"host": name, "transport_url": broker},
            "database": {"connection": database},
            "serve": {} if role.startswith("api") else {"monitor_listen": f"{HOST}:{port}"},
            "conductor": {"ramdisk_api_url": self.url},
        }
        for more in (plan.options, own, plan.more.get(name, {})):
            for group, values in more.items():
                options[group] = {**options.get(group, {}), **values}
        return Role(plan.folder / name, port, name, role, options, plan.variables.get(name, {}))
