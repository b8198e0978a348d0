"""RabbitMQ as Debian packages it, with an Erlang port mapper of its own."""

from __future__ import annotations

import contextlib
import secrets
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.engine import HOST, Engine
from drophammer.errors import DrophammerError

_SCRIPTS = Path("/usr/lib/rabbitmq/bin")


class RabbitMQ(Engine):
    """It takes three ports: its own, and the two behind it for Erlang's sake."""

    name = "RabbitMQ"
    user = "rabbitmq"
    package = "rabbitmq-server"

    @property
    def url(self) -> str:
        return f"rabbit://drophammer:{self._password}@{HOST}:{self.port}/"

    def prepare(self) -> None:
        secret = self.folder / "password"
        if not secret.exists():
            secret.write_text(secrets.token_urlsafe(24))
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            letters = string.ascii_uppercase
            self.run("/bin/sh", "-c", "umask 077; cat > .erlang.cookie <<E\n"
                     f"{''.join(secrets.choice(letters) for _ in range(24))}\nE")  # fmt: skip
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "env.conf").write_text("")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = {self.listen}:{self.port}\n"
            "default_user = drophammer\n"
            f"default_pass = {self._password}\n"
            "loopback_users = none\n"
            "heartbeat = 10\n"
        )

    def command(self) -> Sequence[str]:
        return (str(_SCRIPTS / "rabbitmq-server"),)

    def environment(self) -> Mapping[str, str]:
        return {
            "RABBITMQ_NODENAME": f"drophammer{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.port + 1),
            "ERL_EPMD_PORT": str(self.port + 2),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "rabbit.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def divide(self, names: Sequence[str]) -> None:
        """Make virtual hosts, which see nothing of each other; a name ends the URL of one."""
        listed = ", ".join(f'<<"{name}">>' for name in names)
        permit = 'rabbit_auth_backend_internal:set_permissions(<<"drophammer">>, V'
        every = ", ".join(['<<".*">>'] * 3)
        self.run(
            str(_SCRIPTS / "rabbitmqctl"),
            "eval",
            f'[begin rabbit_vhost:add(V, <<"us">>), {permit}, {every}, <<"us">>) end '
            f"|| V <- [{listed}]].",
        )

    def after_end(self) -> None:
        # The port mapper is a daemon of its own; it is in nobody's process group.
        with contextlib.suppress(DrophammerError):
            self.run("/usr/bin/epmd", "-port", str(self.port + 2), "-kill")

    @property
    def _password(self) -> str:
        return (self.folder / "password").read_text()
