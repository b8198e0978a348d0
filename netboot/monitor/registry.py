"""Which services a netboot host has: one line each."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netboot.binding import EVERY_ADDRESS, Binding
from netboot.content import Observer
from netboot.loop import LoopThread
from netboot.monitor.builtin import BuiltIn, Server
from netboot.monitor.idle import Unconfigured
from netboot.monitor.programs import Host, ntp_service, tgt_service
from netboot.monitor.service import OFF, ON, Expected, Managed
from netboot.services.dhcp import DhcpServer
from netboot.services.http import HttpServer
from netboot.services.tftp import TftpServer
from netboot.services.tftp_options import Limits
from netboot.source import BootSource

NO_DHCP = "[netboot]dhcp_enabled is false, and there is no other configuration for it"


@dataclass(frozen=True)
class Parts:
    """What services are made of. ``dhcp`` is None until there is a configuration for it."""

    host: Host
    loop: LoopThread
    source: Callable[[], BootSource]
    observers: Mapping[str, Observer]
    dhcp: Callable[[], DhcpServer | None]


def http(parts: Parts) -> Managed:
    """Boot scripts, kernels, images."""

    def make(door: socket.socket) -> HttpServer:
        return HttpServer(parts.source(), sockets=[door], observer=parts.observers["http"])

    return _built_in(parts, "http", socket.SOCK_STREAM, make)


def tftp(parts: Parts) -> Managed:
    """Boot loaders and what they ask for."""

    def make(door: socket.socket) -> TftpServer:
        return TftpServer(
            parts.source(),
            sockets=[door],
            make_socket=parts.host.namespace.socket,
            observer=parts.observers["tftp"],
            limits=Limits(max_blksize=parts.host.settings.tftp_max_block_size),
        )

    return _built_in(parts, "tftp", socket.SOCK_DGRAM, make)


def dhcp4(parts: Parts) -> Managed:
    """Addresses and boot files for IPv4."""
    server = parts.dhcp()
    return server.dhcp4 if server is not None else Unconfigured("dhcp4", NO_DHCP)


def dhcp6(parts: Parts) -> Managed:
    """The same for IPv6, and router advertisements."""
    server = parts.dhcp()
    return server.dhcp6 if server is not None else Unconfigured("dhcp6", NO_DHCP)


SERVICES: tuple[Callable[[Parts], Managed], ...] = (
    http,
    tftp,
    dhcp4,
    dhcp6,
    lambda parts: ntp_service(parts.host),
    lambda parts: tgt_service(parts.host),
)


def _built_in(
    parts: Parts, name: str, kind: socket.SocketKind, make: Callable[[socket.socket], Server]
) -> BuiltIn:
    """A server of ours. ``name`` also begins the names of its options."""
    settings, namespace = parts.host.settings, parts.host.namespace
    on: bool = getattr(settings, f"{name}_enabled")
    reason = f"[netboot]{name}_enabled is {'true' if on else 'false'}"
    address = EVERY_ADDRESS if settings.listen_all else settings.address
    return BuiltIn(
        name,
        Expected(ON if on else OFF, reason),
        Binding(name.upper(), f"{name}_port", kind, address, namespace),
        getattr(settings, f"{name}_port"),
        make,
        parts.loop,
        (f"netboot.services.{name}",),
    )
