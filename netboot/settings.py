"""What netboot was told, checked once and frozen: the rest of netboot sees only this.

Knows which values go together (a DHCP server needs a range); touches no file and
no network.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from drophammer.errors import Invalid
from netboot import subnets
from netboot.dhcp import grammar
from netboot.enlist.settings import EnlistSettings
from netboot.resources.settings import ResourceSettings
from netboot.services.program_settings import NtpSettings, TgtSettings
from netboot.subnets import DhcpSettings

_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LONGEST_PATH = 1000


@dataclass(frozen=True)
class Settings:
    """All of [netboot]. ``dhcp`` is None when somebody else's DHCP server is in charge."""

    address: IPv4Address | IPv6Address
    network_namespace: str
    http_enabled: bool
    http_port: int
    tftp_enabled: bool
    tftp_port: int
    tftp_max_block_size: int
    dhcp: DhcpSettings | None
    images_dir: Path
    boot_dir: Path
    file_url_allowed_paths: tuple[Path, ...]
    state_dir: Path
    loader_dirs: tuple[Path, ...]
    resources: ResourceSettings
    ntp: NtpSettings
    tgt: TgtSettings
    service_manager: str
    monitor_interval: float
    chap_in_boot_scripts: bool = False
    listen_all: bool = False
    nomodeset: bool = False
    bios_to_disk: str = "next"
    enlist: EnlistSettings = field(default_factory=EnlistSettings)

    @classmethod
    def from_conf(cls, conf: Any) -> Settings:
        """Read and check the group [netboot]. Raises Invalid, naming the option."""
        group = conf.netboot
        address = _address("address", group.address)
        if address.is_unspecified or address.is_multicast:
            raise Invalid(
                f"[netboot]address is {address}: machines are told this address, so it must be "
                "the one this host has on the provisioning network."
            )
        namespace = group.network_namespace
        if namespace and not _NAMESPACE.fullmatch(namespace):
            raise Invalid(f"[netboot]network_namespace {namespace!r} is not a namespace's name.")
        dhcp = subnets.from_conf(conf, address)
        return cls(
            address=address,
            network_namespace=namespace,
            http_enabled=group.http_enabled,
            http_port=group.http_port,
            tftp_enabled=group.tftp_enabled,
            tftp_port=group.tftp_port,
            tftp_max_block_size=group.tftp_max_block_size,
            dhcp=dhcp,
            images_dir=_path("images_dir", group.images_dir),
            boot_dir=_path("boot_dir", group.boot_dir),
            file_url_allowed_paths=_paths("file_url_allowed_paths", group.file_url_allowed_paths),
            state_dir=_path("state_dir", group.state_dir),
            loader_dirs=_paths("loader_dirs", group.loader_dirs),
            resources=ResourceSettings.from_conf(conf),
            ntp=NtpSettings.from_conf(conf),
            tgt=TgtSettings.from_conf(conf),
            service_manager=group.service_manager,
            monitor_interval=group.monitor_interval,
            chap_in_boot_scripts=group.chap_in_boot_scripts,
            listen_all=group.listen_all,
            nomodeset=group.nomodeset,
            bios_to_disk=group.bios_to_disk,
            enlist=EnlistSettings.from_conf(conf, dhcp),
        )

    def kernel_roots(self) -> tuple[Path, ...]:
        """The folders that file:// URLs may point into."""
        return (self.boot_dir, *self.file_url_allowed_paths)


def _address(option: str, text: str) -> IPv4Address | IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(f"[netboot]{option} is {text!r}, which is not an IP address.") from None
    if "%" in text:
        # A zone is any text at all, and means something on this host only.
        raise Invalid(f"[netboot]{option} is {text!r}: machines need an address without a zone.")
    return address


def _path(option: str, text: str) -> Path:
    grammar.check(text, f"[netboot]{option}", grammar.PATH, _LONGEST_PATH)
    if not text.startswith("/"):
        raise Invalid(f"[netboot]{option} is {text!r}: give an absolute path.")
    return Path(text)


def _paths(option: str, texts: list[str]) -> tuple[Path, ...]:
    return tuple(_path(option, text) for text in texts)
