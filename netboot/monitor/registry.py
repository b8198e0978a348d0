"""Which services a netboot host has: one line each."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netboot.binding import EVERY_ADDRESS, Binding
from netboot.content import Observer
from netboot.loop import LoopThread
from netboot.monitor.builtin import BuiltIn
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
    settings = parts.host.settings
    return BuiltIn(
        "http",
        _switched("http_enabled", settings.http_enabled),
        _binding(parts, "HTTP", "http_port", socket.SOCK_STREAM),
        settings.http_port,
        lambda door: HttpServer(parts.source(), sockets=[door], observer=parts.observers["http"]),
        parts.loop,
        ("netboot.services.http",),
    )


def tftp(parts: Parts) -> Managed:
    """Boot loaders and what they ask for."""
    settings = parts.host.settings
    return BuiltIn(
        "tftp",
        _switched("tftp_enabled", settings.tftp_enabled),
        _binding(parts, "TFTP", "tftp_port", socket.SOCK_DGRAM),
        settings.tftp_port,
        lambda door: TftpServer(
            parts.source(),
            sockets=[door],
            make_socket=parts.host.namespace.socket,
            observer=parts.observers["tftp"],
            limits=Limits(max_blksize=settings.tftp_max_block_size),
        ),
        parts.loop,
        ("netboot.services.tftp",),
    )


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


def _switched(option: str, on: bool) -> Expected:
    if on:
        return Expected(ON, f"[netboot]{option} is true")
    return Expected(OFF, f"[netboot]{option} is false")


def _binding(parts: Parts, server: str, option: str, kind: socket.SocketKind) -> Binding:
    settings = parts.host.settings
    address = EVERY_ADDRESS if settings.listen_all else settings.address
    return Binding(server, option, kind, address, parts.host.namespace)
