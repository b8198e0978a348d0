"""``drophammer serve``: the roles that are switched on, in one process.

Start order is netboot, conductor, API, so that nobody is answered before there
is somebody to do the work; stop order is the reverse.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from oslo_config import cfg

import api.settings
import conductor.settings
import netboot.settings
from api.app import create_app
from api.auth import check_exposure
from api.server import ApiServer
from conductor.process import ConductorProcess
from drophammer import notifications
from drophammer.bus import Bus, Served, connect
from drophammer.errors import Invalid
from drophammer.health import Health
from drophammer.netns import Namespace
from drophammer.store import Store
from embedded.monitor import Monitor
from embedded.options import for_messaging
from netboot.server import NetbootServer

LOG = logging.getLogger(__name__)
BACKLOG = 1024
LOCK = "lock"
MONITOR_THREADS = 2


class Role(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Listening:
    """One line of the table that is printed at start."""

    service: str
    address: str
    state: str


class NetbootCalls:
    """The part of netboot that other roles may call over the bus."""

    def __init__(self, server: NetbootServer) -> None:
        self.refresh = server.refresh
        self.prepare = server.prepare


class Embedded:
    """One process of Drophammer."""

    def __init__(self, conf: cfg.ConfigOpts, *, listen: str | None = None) -> None:
        self._conf = conf
        self._api_settings = api.settings.Settings.from_conf(conf)
        self._listen = split_address(
            listen or f"{conf.api.host_ip}:{conf.api.port}", "the listen address"
        )
        self._started: list[Role | Served] = []
        self._store: Store | None = None
        self._bus: Bus | None = None
        self._health: Health | None = None
        self._lock: IO[str] | None = None
        self.listening: list[Listening] = []

    def start(self) -> None:
        """Start everything, or nothing: what was started is stopped again when a part fails."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop taking requests, end what is under way, close."""
        while self._started:
            self._started.pop().stop()
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self) -> None:
        conf = self._conf
        if not (conf.serve.api or conf.serve.conductor or conf.serve.netboot):
            raise Invalid("Every role is switched off; there is nothing to run.")
        if conf.serve.api:
            check_exposure(self._listen[0], self._api_settings.auth_strategy)
            check_users(self._api_settings)
        state_dir = Path(conf.state_dir)
        make_state_dir(state_dir)
        if not conf.database.connection:
            # One process per sqlite file: two would each take the other's work for lost.
            self._lock = lock_state_dir(state_dir)
        self._store = Store(
            conf.database.connection or f"sqlite:///{state_dir}/drophammer.sqlite",
            lease_seconds=conf.conductor.heartbeat_timeout,
        )
        self._store.migrate()
        self._bus = connect(
            conf.transport_url,
            for_messaging(conf),
            clock=self._store.clock,
            signing_key=conf.bus.signing_key,
        )
        for name in {conf.netboot.network_namespace, conf.conductor.network_namespace}:
            Namespace(name).check()
        self._health = Health(self._store, self._bus)
        notifier = notifications.notifier(conf, for_messaging(conf))
        if notifier is not None:
            self._run(notifier)
        # The API's sockets first: an address in use is the commonest mistake.
        sockets = self._api_sockets() if conf.serve.api else []
        try:
            self._start_monitor(self._health)
            if conf.serve.netboot:
                self._start_netboot(self._store, self._bus)
            if conf.serve.conductor:
                settings = conductor.settings.Settings.from_conf(conf)
                process = ConductorProcess(settings, self._store, self._bus)
                self._run(process)
                self._health.add("conductor", process.trouble)
                self._say("conductor", settings.host, ", ".join(settings.hardware_types))
            self._start_api(sockets)
        except BaseException:
            for listener in sockets:
                listener.close()
            raise

    def _start_netboot(self, store: Store, bus: Bus) -> None:
        server = NetbootServer(netboot.settings.Settings.from_conf(self._conf), store)
        self._run(server)
        self._started.append(bus.serve("netboot", NetbootCalls(server), self._conf.host))
        for line in server.listening():
            self._say(*line)

    def _start_monitor(self, health: Health) -> None:
        address = self._conf.serve.monitor_listen
        if address:
            where = split_address(address, "[serve] monitor_listen")
            made = listener(Namespace(), where)
            self._run(ApiServer(Monitor(health), [made], MONITOR_THREADS))
            self._say("monitor", f"http://{address}", "health and metrics")

    def _start_api(self, sockets: list[socket.socket]) -> None:
        if not sockets:
            return
        assert self._store is not None
        assert self._bus is not None
        app = create_app(self._api_settings, self._store, self._bus, checks=self._health)
        self._run(ApiServer(app, sockets[:1]))
        self._run(app.stream)
        host, port = self._listen
        self._say(
            "api", f"http://{shown(host)}:{port}", f"auth: {self._api_settings.auth_strategy}"
        )
        if len(sockets) > 1:
            ramdisk = create_app(self._api_settings, self._store, self._bus, ramdisk_only=True)
            self._run(ApiServer(ramdisk, sockets[1:]))
            self._say("ramdisk api", f"http://{self._conf.serve.ramdisk_listen}", "ramdisks only")

    def _api_sockets(self) -> list[socket.socket]:
        sockets = [listener(Namespace(), self._listen)]
        if self._conf.serve.ramdisk_listen:
            where = split_address(self._conf.serve.ramdisk_listen, "[serve] ramdisk_listen")
            try:
                sockets.append(listener(Namespace(self._conf.netboot.network_namespace), where))
            except BaseException:
                sockets[0].close()
                raise
        return sockets

    def _run(self, role: Role) -> None:
        role.start()
        self._started.append(role)

    def _say(self, service: str, address: str, state: str) -> None:
        self.listening.append(Listening(service, address, state))


def check_users(settings: api.settings.Settings) -> None:
    """Raise Invalid when passwords are asked for and there is no file of them."""
    path = settings.http_basic_auth_user_file
    if settings.auth_strategy == api.settings.HTTP_BASIC and not os.access(path, os.R_OK):
        raise Invalid(
            f"auth_strategy is http_basic, and its file of users {path} cannot be read; make it "
            f"with `htpasswd -B -c {path} USER`, or name another in http_basic_auth_user_file."
        )


def lock_state_dir(path: Path) -> IO[str]:
    """Keep others out of the state folder for as long as the returned file is open.

    Raises Invalid with the process that has it.
    """
    lock = (path / LOCK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise Invalid(
            f"The state folder {path} is in use by process {pid}; stop that one, or choose "
            "another folder with --state-dir."
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def make_state_dir(path: Path) -> None:
    """The state folder, for us alone: it holds secrets of the machines."""
    if path.exists() and not path.is_dir():
        raise Invalid(f"The state folder {path} is a file. Choose another with --state-dir.")
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise Invalid(
            f"The state folder {path} cannot be used: {error.strerror}. Choose another with "
            "--state-dir."
        ) from error


def listener(namespace: Namespace, where: tuple[str, int]) -> socket.socket:
    """A listening TCP socket. Raises Invalid naming address, reason and remedy."""
    host, port = where
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = namespace.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise Invalid(
            f"Cannot listen on {shown(host)}:{port}: {error.strerror}. Is another service there? "
            "Choose another address with --listen HOST:PORT."
        ) from error
    return made


def split_address(text: str, what: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[v6]:PORT`` in its parts. Raises Invalid."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise Invalid(f"{what}: {text!r} is not HOST:PORT.")
    if int(port) > 65535:
        raise Invalid(f"{what}: {port} is no port; they end at 65535.")
    return host, int(port)


def shown(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
