"""Netboot as one object: its sockets, its servers, DHCP, and the calls of other roles.

Puts the parts together and takes them down again; what they do is in their own
files. The servers run on an event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from drophammer.bootspec import IPXE, BootSpec
from drophammer.clock import Clock, SystemClock
from drophammer.errors import DrophammerError, Invalid, NotFound, Unavailable
from drophammer.netns import Namespace
from drophammer.store import Store
from netboot.boot.grammar import needs_tftp
from netboot.loaders import Loaders
from netboot.lookup import Lookup
from netboot.observer import Recorder
from netboot.paths import IPXE_START
from netboot.services.dhcp import DhcpServer
from netboot.services.dhcp_config import DhcpFiles
from netboot.services.dhcp_log import Leases
from netboot.services.http import HttpServer
from netboot.services.tftp import TftpServer
from netboot.services.tftp_options import Limits
from netboot.settings import Settings
from netboot.source import BootSource

log = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0
"""A netboot elsewhere may have got the call that ports changed; each looks for itself, too."""

START_SECONDS = 10.0
GRACE_SECONDS = 1.0
LOOKUP_THREADS = 8


class NetbootServer:
    """Answers machines. Its public methods are also netboot's methods on the bus."""

    def __init__(self, settings: Settings, store: Store, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._namespace = Namespace(settings.network_namespace)
        self._lookup = Lookup(store)
        self._loaders = Loaders(settings.loader_dirs)
        self._leases = Leases(DhcpFiles.below(settings.state_dir / "dhcp").leases)
        self._recorder = Recorder(
            store,
            clock or SystemClock(),
            mac_of=self._leases.mac_of,
            is_loader=self._loaders.knows,
        )
        self._loop = _LoopThread()
        self._http: HttpServer | None = None
        self._tftp: TftpServer | None = None
        self._dhcp: DhcpServer | None = None
        self._http_port = settings.http_port
        self._tftp_port = settings.tftp_port
        self._source: BootSource | None = None
        self._stopping = threading.Event()
        self._refresher = threading.Thread(
            target=self._keep_fresh, name="netboot-refresh", daemon=True
        )

    @property
    def base_url(self) -> str:
        """How machines reach our HTTP server, e.g. "http://172.22.0.1:8080"."""
        return f"http://{_host(str(self._settings.address))}:{self._http_port}"

    @property
    def tftp_port(self) -> int:
        """The UDP port that TFTP has."""
        return self._tftp_port

    @property
    def dhcp_pid(self) -> int | None:
        """Process id of dnsmasq while it runs."""
        return self._dhcp.pid if self._dhcp else None

    def _first_script(self) -> str:
        """Where iPXE gets its first script: over TFTP, for it asks there until it is answered.

        A refused TCP connection ends the boot at once, and a machine that came to that while
        this service was started anew would stand still for ever.
        """
        if self._tftp is None:
            return f"{self.base_url}/{IPXE_START}"
        return f"tftp://{_host(str(self._settings.address))}:{self._tftp_port}/{IPXE_START}"

    def start(self) -> None:
        """Open all ports and answer; returns when everything does.

        Raises Unavailable or Invalid, naming service, address and port, and leaves
        nothing running then.
        """
        try:
            self._start()
        except DrophammerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything within 3 s; returns when ports are free and dnsmasq is gone."""
        self._stopping.set()
        if self._dhcp is not None:
            self._dhcp.stop()
        servers = [server for server in (self._tftp, self._http) if server is not None]
        self._loop.stop([server.stop(GRACE_SECONDS) for server in servers])
        self._tftp = self._http = None
        self._recorder.stop()
        if self._refresher.is_alive():
            self._refresher.join(GRACE_SECONDS)

    def listening(self) -> list[tuple[str, str, str]]:
        """(service, address, state) of each service, for people."""
        host = _host(str(self._settings.address))
        missing = self._loaders.missing()
        return [
            (
                "tftp",
                f"{host}:{self._tftp_port}/udp",
                f"running, {self._tftp.transfers} transfers" if self._tftp else "switched off",
            ),
            (
                "http",
                f"{host}:{self._http_port}/tcp",
                f"running, {self._http.connections} connections" if self._http else "switched off",
            ),
            (
                "dhcp",
                f"{self._settings.dhcp.interface}:67/udp" if self._settings.dhcp else "",
                self._dhcp.state if self._dhcp else "switched off",
            ),
            ("loaders", "", " ".join(missing) if missing else "all there"),
        ]

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
        if self._source is None:
            raise Unavailable("Netboot is not running.")
        self._source.check_files(spec)
        self.refresh()

    def _require_server(self, spec: BootSpec) -> None:
        if spec.loader != IPXE:
            needs_tftp(spec)
            if self._tftp is None:
                raise Invalid("The node boots by TFTP, and [netboot]tftp_enabled is false.")
        elif self._http is None:
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
        http = (
            self._bind("HTTP", "http_port", socket.SOCK_STREAM) if settings.http_enabled else None
        )
        tftp = None
        try:
            if settings.tftp_enabled:
                tftp = self._bind("TFTP", "tftp_port", socket.SOCK_DGRAM)
        except Unavailable:
            if http is not None:
                http.close()
            raise
        self._serve(http, tftp)
        if settings.dhcp is not None:
            self._dhcp = DhcpServer(
                settings.dhcp,
                self._namespace,
                address=str(settings.address),
                script_url=self._first_script(),
                folder=settings.state_dir / "dhcp",
                seen=self._recorder.dhcp,
            )
            self._dhcp.start(self._lookup.hosts())
            self._refresher.start()
        for sentence in self._loaders.missing():
            log.warning("%s", sentence)

    def _serve(self, http: socket.socket | None, tftp: socket.socket | None) -> None:
        """Start the servers on their sockets, which are theirs from now on."""
        if http is not None:
            self._http_port = http.getsockname()[1]
        if tftp is not None:
            self._tftp_port = tftp.getsockname()[1]
        self._source = BootSource(
            self._lookup,
            self._loaders,
            base_url=self.base_url,
            kernel_roots=self._settings.kernel_roots(),
            images_dir=self._settings.images_dir,
        )
        self._recorder.start()
        self._loop.start()
        if http is not None:
            self._http = HttpServer(self._source, sockets=[http], observer=self._recorder)
            self._loop.run(self._http.start())
        if tftp is not None:
            self._tftp = TftpServer(
                self._source,
                sockets=[tftp],
                make_socket=self._namespace.socket,
                observer=self._recorder,
                limits=Limits(max_blksize=self._settings.tftp_max_block_size),
            )
            self._loop.run(self._tftp.start())

    def _bind(self, service: str, option: str, kind: socket.SocketKind) -> socket.socket:
        address = str(self._settings.address)
        port: int = getattr(self._settings, option)
        family = socket.AF_INET6 if self._settings.address.version == 6 else socket.AF_INET
        try:
            door = self._namespace.socket(family, kind)
        except OSError as error:
            raise Unavailable(
                f"{service}: the network namespace {self._settings.network_namespace!r} cannot be "
                f"entered ({error.strerror}); correct [netboot]network_namespace, run as root."
            ) from error
        try:
            if kind == socket.SOCK_STREAM:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((address, port))
            if kind == socket.SOCK_STREAM:
                # Here, because only listening tells that another one listens already.
                door.listen()
        except OSError as error:
            door.close()
            raise Unavailable(
                f"{service} cannot listen on {_host(address)} port {port}: "
                f"{_remedy(error, option)}."
            ) from error
        return door

    def _keep_fresh(self) -> None:
        while not self._stopping.wait(REFRESH_SECONDS):
            try:
                self.refresh()
            except DrophammerError as error:
                log.warning("DHCP keeps its present list of machines: %s", error.message)


class _LoopThread:
    """An event loop in a thread; other threads hand it coroutines."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(LOOKUP_THREADS, "netboot-lookup")
        loop.set_default_executor(self._pool)
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever, name="netboot", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine there and wait for it; raises what it raises."""
        assert self._loop is not None
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"A server of netboot did not start: {error}") from error

    def stop(self, last: list[Coroutine[Any, Any, None]]) -> None:
        """Run the coroutines side by side, for little longer than their grace, and end the loop."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            for work in last:
                work.close()
            return
        ending = asyncio.run_coroutine_threadsafe(_all(last), loop)
        try:
            ending.result(2 * GRACE_SECONDS)
        except TimeoutError:
            log.warning("some transfers were cut off")
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        # Not waiting: a lookup may hang in a database that does not answer.
        self._pool.shutdown(wait=False, cancel_futures=True)
        _close(loop)


async def _all(work: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left and close the loop, which runs no more."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


_REMEDIES: dict[int, Callable[[str], str]] = {
    errno.EADDRINUSE: lambda option: (
        f"another program has this port; stop it or change [netboot]{option}"
    ),
    errno.EADDRNOTAVAIL: lambda option: (
        "this host has no such address (in this network namespace); correct [netboot]address and "
        "network_namespace"
    ),
    errno.EACCES: lambda option: (
        f"ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or change [netboot]{option}"
    ),
}


def _remedy(error: OSError, option: str) -> str:
    remedy = _REMEDIES.get(error.errno or 0)
    return remedy(option) if remedy else f"{error.strerror}; correct [netboot]address"
