"""What a path asks for: the names under which machines find their files.

One grammar for both protocols, used by the source (which file is meant) and the
observer (which machine and stage is it). Knows nothing of files or the database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from drophammer.bootspec import normal_mac
from drophammer.errors import Invalid

LOADER, SCRIPT, CONFIG = "loader", "script", "config"
KERNEL, RAMDISK, IMAGE = "kernel", "ramdisk", "image"
LARGE = (KERNEL, RAMDISK, IMAGE)

IPXE_START = "boot.ipxe"
GRUB_START = "grub/grub.cfg"

_MAC = r"(?P<mac>[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5})"
_KEY = r"(?P<key>[A-Za-z0-9_-]{8,64})"
_RULES = [
    (SCRIPT, re.compile(rf"(?P<base>ipxe)/{_MAC}")),
    # ARP type 01 is Ethernet; pxelinux and newer GRUBs write it in front of the address.
    (CONFIG, re.compile(rf"(?P<base>pxelinux\.cfg)/01-{_MAC}")),
    (CONFIG, re.compile(rf"(?P<base>grub/grub\.cfg)-(?:01-)?{_MAC}")),
    (KERNEL, re.compile(rf"boot/{_KEY}/(?P<base>kernel)")),
    (RAMDISK, re.compile(rf"boot/{_KEY}/(?P<base>ramdisk)")),
    (IMAGE, re.compile(r"images/(?P<base>.+)")),
]


@dataclass(frozen=True)
class Wanted:
    """``name`` is fit for logs: no ``key`` is in it, for a key opens files."""

    stage: str
    name: str
    mac: str | None = None
    key: str | None = field(default=None, repr=False)


def wanted(path: str, query: Mapping[str, str]) -> Wanted | None:
    """What ``path`` (no slash in front) asks for; None when it is no name of ours.

    Boot loaders are not listed here: see loaders.py. Raises Invalid for a query
    ``mac`` that is not a MAC address.
    """
    if path == IPXE_START:
        return _ipxe_start(query)
    if path == GRUB_START:
        return Wanted(CONFIG, path)
    for stage, rule in _RULES:
        found = rule.fullmatch(path)
        if found:
            parts = found.groupdict()
            mac = normal_mac(parts["mac"]) if parts.get("mac") else None
            key = parts.get("key")
            return Wanted(stage, parts["base"] if key or stage == IMAGE else path, mac, key)
    return None


def of_pxelinux(path: str) -> bool:
    """True for what pxelinux asks: by UUID, MAC address, IP address, and "default"."""
    return path.startswith("pxelinux.cfg/")


def _ipxe_start(query: Mapping[str, str]) -> Wanted:
    text = query.get("mac")
    if text is None:
        return Wanted(SCRIPT, IPXE_START)
    mac = normal_mac(text)
    return Wanted(SCRIPT, f"ipxe/{mac.replace(':', '-')}", mac)


def ipxe_script(mac_text: str) -> str:
    """The path of a machine's iPXE script."""
    return f"ipxe/{mac_text}"


def boot_file(key: str, stage: str) -> str:
    """The path of a kernel or ramdisk."""
    if stage not in (KERNEL, RAMDISK):
        raise Invalid(f"A boot has a kernel and a ramdisk, no {stage!r}.")
    return f"boot/{key}/{stage}"
