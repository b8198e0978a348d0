"""Netboot as one object: its services, what they share, and the calls of other roles.

Puts the parts together and takes them down again; what they do is in their own
files, which services there are in ``monitor/registry.py``.
"""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
from collections.abc import Callable

from drophammer.bootspec import PXE, BootSpec
from drophammer.clock import Clock, SystemClock
from drophammer.errors import DrophammerError, Invalid, NotFound, Unavailable
from drophammer.netns import Namespace
from drophammer.store import Store
from netboot.answers import boot_source
from netboot.binding import host
from netboot.boot.grammar import needs_tftp
from netboot.loaders import Loaders
from netboot.lookup import Lookup
from netboot.loop import LoopThread
from netboot.monitor.builtin import BuiltIn
from netboot.monitor.calls import ServiceCalls
from netboot.monitor.monitor import Monitor
from netboot.monitor.programs import Host
from netboot.monitor.registry import SERVICES, Parts
from netboot.monitor.service import Managed
from netboot.monitor.switches import Switches
from netboot.monitor.systemd import Systemctl
from netboot.monitor.targets import TgtService
from netboot.monitor.warn import Warn
from netboot.neighbours import Clients, Neighbours
from netboot.observer import Recorder
from netboot.paths import IPXE_START
from netboot.requestlog import RequestLog
from netboot.services.dhcp import DhcpServer
from netboot.services.dhcp_config import DhcpFiles
from netboot.services.dhcp_log import Leases
from netboot.services.tgt import Targets
from netboot.settings import Settings
from netboot.source import BootSource

log = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0
"""A netboot elsewhere may have got the call that ports changed; each looks for itself, too."""

GRACE_SECONDS = 1.0


class NetbootServer:
    """Answers machines. Its public methods, and those of ``service_calls``, are on the bus."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Clock | None = None,
        hostname: str | None = None,
        systemctl: Systemctl | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock or SystemClock()
        self._hostname = hostname or socket.gethostname()
        self._namespace = Namespace(settings.network_namespace)
        self._lookup = Lookup(store)
        self._resources = settings.resources.resources()
        self._loaders = Loaders(settings.loader_dirs, resources=self._resources)
        self._leases = Leases(DhcpFiles.below(settings.state_dir / "dhcp").leases)
        self._clients = Clients(Neighbours(self._namespace.socket), self._leases.mac_of)
        self._recorder = Recorder(
            store,
            self._clock,
            mac_of=self._clients.mac_of,
            is_loader=self._loaders.knows,
        )
        self._loop = LoopThread()
        self._requests = {name: RequestLog(name, self._recorder) for name in ("http", "tftp")}
        self.service_calls = ServiceCalls(
            self._hostname, lambda: self.monitor, Switches(self._requests)
        )
        self._systemctl = systemctl or Systemctl()
        self._dhcp: DhcpServer | None = None
        self._source: BootSource | None = None
        self._services: dict[str, Managed] = {}
        self._monitor: Monitor | None = None
        self._stopping = threading.Event()
        self._refresher = threading.Thread(
            target=self._keep_fresh, name="netboot-refresh", daemon=True
        )

    @property
    def base_url(self) -> str:
        """How machines reach our HTTP server, e.g. "http://172.22.0.1:8080"."""
        return f"http://{host(self._settings.address)}:{self._port('http')}"

    @property
    def tftp_port(self) -> int:
        """The UDP port that TFTP has."""
        return self._port("tftp")

    @property
    def dhcp_pid(self) -> int | None:
        """Process id of dnsmasq while it runs."""
        return self._dhcp.pid if self._dhcp else None

    @property
    def targets(self) -> Targets:
        """What an import tells of new images. Only after ``start``."""
        found = self._services["tgt"]
        assert isinstance(found, TgtService)
        return found.targets

    @property
    def monitor(self) -> Monitor:
        """Who looks after the services. Raises Unavailable before ``start``."""
        if self._monitor is None:
            raise _not_running()
        return self._monitor

    def start(self) -> None:
        """Open all ports and answer; returns when everything that machines boot from does.

        Raises Unavailable or Invalid, naming service, address and port, and leaves
        nothing running then. What else is to run is begun in the background.
        """
        try:
            self._start()
        except DrophammerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything within 3 s; returns when ports are free and children are gone."""
        self._stopping.set()
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.stop()
        else:
            for service in self._services.values():
                service.stop()
        if self._dhcp is not None:
            self._dhcp.stop()
        self._loop.stop()
        self._recorder.stop()
        for one in self._requests.values():
            one.switch(False)
        if self._refresher.is_alive():
            self._refresher.join(GRACE_SECONDS)

    def reload(self, read: Callable[[], Settings]) -> None:
        """Go over to other subnets, and to who may enlist there; nothing else changes meanwhile.

        Raises Invalid, and all stays as it was, when they cannot be read, when what else is
        different needs a new start, or when dnsmasq refuses them.
        """
        try:
            self._reload(read())
        except DrophammerError as error:
            if self._dhcp is not None:
                self._dhcp.refused(error.message)
            raise

    def listening(self) -> list[tuple[str, str, str]]:
        """(service, address, state) of each service that machines ask, for people."""
        dhcp, missing = self._settings.dhcp, self._loaders.missing()
        return [
            *(self._listening(name, kind) for name, kind in (("tftp", "udp"), ("http", "tcp"))),
            (
                "dhcp",
                f"{dhcp.interface}:67/udp" if dhcp else "",
                self._dhcp.state if self._dhcp else "switched off",
            ),
            ("loaders", "", " ".join(missing) if missing else "all there"),
        ]

    def trouble(self) -> str:
        """Which services do not run although they should; empty when all do."""
        return "netboot is not running" if self._monitor is None else self._monitor.trouble()

    # Methods on the bus

    def refresh(self) -> None:
        """Let DHCP know the machines as they are in the database now.

        Raises Unavailable when it does not take them.
        """
        if self._dhcp is not None:
            self._dhcp.set_hosts(self._lookup.hosts())

    def prepare(self, node_id: int) -> None:
        """Return when the node could boot now: DHCP knows it, and its files are there.

        Raises NotFound, Invalid, Forbidden or Unavailable with what stands in its way.
        """
        macs = self._lookup.macs_of(node_id)
        if not macs:
            raise Invalid(
                "The node has no port with pxe_enabled, so it cannot boot from the network; add a "
                "port with the MAC address of its network card."
            )
        spec = self._lookup.by_mac(macs[0]).spec
        if spec is None:
            raise NotFound("The node has nothing to boot from the network at this moment.")
        self._require_server(spec)
        self._ready_source().check_files(node_id, spec)
        self.refresh()

    def pin(self, urls: list[str]) -> list[str]:
        """The URLs with all boot resources among them named in one snapshot.

        Raises Invalid or NotFound.
        """
        return self._resources.pin(urls)

    # Details

    def _require_server(self, spec: BootSpec) -> None:
        if spec.loader == PXE:
            needs_tftp(spec)
            if not self._settings.tftp_enabled:
                raise Invalid("The node boots by TFTP, and [netboot]tftp_enabled is false.")
        elif not self._settings.http_enabled:
            raise Invalid("The node boots by iPXE over HTTP, and [netboot]http_enabled is false.")

    def _start(self) -> None:
        settings = self._settings
        try:
            settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"[netboot]state_dir {settings.state_dir} cannot be made: {error.strerror}; name a "
                "folder that this process may write to."
            ) from error
        self._make_services()
        self._source = self._made_source()
        self._recorder.start()
        self._loop.start()
        for name in ("http", "tftp"):
            self._services[name].ensure()
        if self._dhcp is not None:
            self._dhcp.start(self._lookup.hosts())
            self._refresher.start()
        for sentence in self._loaders.missing():
            log.warning("%s", sentence)
        self._monitor = Monitor(
            list(self._services.values()),
            self._store,
            self._clock,
            self._hostname,
            interval=settings.monitor_interval,
        )
        self._monitor.start()

    def _make_services(self) -> None:
        """All of them, with our own ports open: their numbers stand in what DHCP says."""
        warn = Warn(self._store, self._clock, self._hostname, "tgt")
        shared = Host(self._settings, self._namespace, self._systemctl, warn)
        parts = Parts(shared, self._loop, self._ready_source, self._requests, self._made_dhcp)
        for make in SERVICES:
            service = make(parts)
            self._services[service.name] = service
            if isinstance(service, BuiltIn):
                service.open()

    def _reload(self, settings: Settings) -> None:
        same = dataclasses.replace(settings, dhcp=self._settings.dhcp, enlist=self._settings.enlist)
        others = [
            field.name
            for field in dataclasses.fields(same)
            if getattr(same, field.name) != getattr(self._settings, field.name)
        ]
        if (settings.dhcp is None) != (self._settings.dhcp is None):
            others.append("dhcp")
        if others:
            raise Invalid(
                f"The settings {', '.join(others)} of netboot change when the service is started "
                "anew, and subnets with them."
            )
        if self._dhcp is not None and settings.dhcp is not None:
            self._dhcp.change(settings.dhcp)
        self._settings = settings
        self._source = self._made_source()
        self._freshen()

    def _made_source(self) -> BootSource:
        return boot_source(
            self._settings,
            self._lookup,
            self._loaders,
            self._resources,
            base_url=self.base_url,
            mac_of=self._clients.mac_of,
        )

    def _ready_source(self) -> BootSource:
        if self._source is None:
            raise _not_running()
        return self._source

    def _made_dhcp(self) -> DhcpServer | None:
        settings = self._settings
        if self._dhcp is None and settings.dhcp is not None:
            self._dhcp = DhcpServer(
                settings.dhcp,
                self._namespace,
                address=str(settings.address),
                script_url=self._first_script(),
                folder=settings.state_dir / "dhcp",
                seen=self._recorder.dhcp,
                http_url=self.base_url if settings.http_enabled else "",
                foreign=self._recorder.foreign,
            )
        return self._dhcp

    def _first_script(self) -> str:
        """Where iPXE gets its first script: over TFTP, for it asks there until it is answered.

        A refused TCP connection ends the boot at once, and a machine that came to that while
        this service was started anew would stand still for ever.
        """
        if not self._settings.tftp_enabled:
            return f"{self.base_url}/{IPXE_START}"
        return f"tftp://{host(self._settings.address)}:{self.tftp_port}/{IPXE_START}"

    def _built_in(self, name: str) -> BuiltIn | None:
        found = self._services.get(name)
        return found if isinstance(found, BuiltIn) else None

    def _port(self, name: str) -> int:
        found = self._built_in(name)
        return found.port if found else int(getattr(self._settings, f"{name}_port"))

    def _listening(self, name: str, kind: str) -> tuple[str, str, str]:
        found = self._built_in(name)
        address = f"{host(self._settings.address)}:{self._port(name)}/{kind}"
        return name, address, found.state if found else "switched off"

    def _keep_fresh(self) -> None:
        while not self._stopping.wait(REFRESH_SECONDS):
            self._freshen()

    def _freshen(self) -> None:
        """The same as ``refresh``; what is in its way is told, and it is tried again soon."""
        try:
            self.refresh()
        except DrophammerError as error:
            log.warning("DHCP keeps its present list of machines: %s", error.message)


def _not_running() -> Unavailable:
    return Unavailable("Netboot is not running.")
