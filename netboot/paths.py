"""What a path asks for: the names under which machines find their files.

One grammar for both protocols, used by the source (which file is meant) and the
observer (which machine and stage is it). Knows nothing of files or the database.

pxelinux, GRUB and iPXE look for their configuration under the same names, each below
a prefix of its own: the machine's UUID, its network card, its IP address in hexadecimal,
and "default", with and without an architecture.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from drophammer.bootspec import normal_mac
from drophammer.errors import Invalid
from netboot import architecture

LOADER, SCRIPT, CONFIG = "loader", "script", "config"
KERNEL, RAMDISK, IMAGE, FILE = "kernel", "ramdisk", "image", "file"
STAGE = "stage"
LARGE = (KERNEL, RAMDISK, IMAGE)

IPXE, PXELINUX, GRUB = "ipxe", "pxelinux", "grub"
Language = Literal["ipxe", "pxelinux", "grub"]

IPXE_START = "boot.ipxe"
GRUB_START = "grub/grub.cfg"
DEFAULT = "default"

# Trees that another TFTP server may have had for BIOS and UEFI. Its DHCP server goes on to
# name them, and a loader asks for what it needs below the folder that it came from.
_TREES = re.compile(r"(?:pxelinux|efi)/", re.IGNORECASE)
_UUID = r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_MAC = r"(?P<mac>[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})"
# ARP type 01 is Ethernet; pxelinux and newer GRUBs write it in front of the address.
_WHO = (
    rf"(?:{_UUID}|(?:01-)?{_MAC}|(?P<ip>[0-9a-f]{{1,8}})"
    r"|(?P<default>default)(?:[.-](?P<arch>[a-z0-9_]{2,16})(?:-(?P<subarch>[a-z0-9._+-]{1,40}))?)?)"
)
_KEY = r"(?P<key>[A-Za-z0-9_-]{8,64})"
_CONFIGS: list[tuple[Language, str, re.Pattern[str]]] = [
    ("ipxe", SCRIPT, re.compile(rf"ipxe/{_WHO}", re.IGNORECASE)),
    ("pxelinux", CONFIG, re.compile(rf"pxelinux\.cfg/{_WHO}", re.IGNORECASE)),
    # GRUB's own folder is built into it: /grub in Debian's, that of its file in Red Hat's.
    ("grub", CONFIG, re.compile(rf"(?:grub/)?grub\.cfg(?:-{_WHO})?", re.IGNORECASE)),
]
_FILES = [
    (KERNEL, re.compile(rf"boot/{_KEY}/(?P<base>kernel)")),
    (RAMDISK, re.compile(rf"boot/{_KEY}/(?P<base>ramdisk)")),
    (STAGE, re.compile(rf"boot/{_KEY}/(?P<base>stage)")),
    (IMAGE, re.compile(r"images/(?P<base>.+)")),
]
_OF_IMAGES = {"boot-kernel": KERNEL, "boot-initrd": RAMDISK}


@dataclass(frozen=True)
class Wanted:
    """``name`` is fit for logs: no ``key`` is in it, for a key opens files.

    Of ``mac``, ``uuid`` and ``ip`` (in hexadecimal, maybe only its beginning) at most one
    is there: by which the configuration in ``language`` is asked for. ``default`` asks for
    that of machines that nobody knows, with ``arch`` if the loader knows its own.
    """

    stage: str
    name: str
    mac: str | None = None
    key: str | None = field(default=None, repr=False)
    language: Language | None = None
    uuid: str | None = None
    ip: str | None = None
    default: bool = False
    arch: str | None = None

    @property
    def tried_in_turn(self) -> bool:
        """Whether the loader asks so among others, and to be refused means nothing."""
        return self.uuid is not None or self.ip is not None or self.default


def wanted(path: str, query: Mapping[str, str]) -> Wanted | None:
    """What ``path`` (no slash in front) asks for; None when it is no name of ours.

    Boot loaders are not listed here: see loaders.py. Raises Invalid for a query
    ``mac`` that is not a MAC address.
    """
    name = without_tree(path)
    if name.lower() == IPXE_START:
        return _ipxe_start(query)
    for language, stage, rule in _CONFIGS:
        if found := rule.fullmatch(name):
            return _config(language, stage, name, found)
    for stage, rule in _FILES:
        if found := rule.fullmatch(name):
            return Wanted(stage, found["base"], key=found.groupdict().get("key"))
    return None


def static(path: str) -> Wanted:
    """What is told of a path that is no name of ours: a file of the boot resources, if any."""
    return Wanted(_OF_IMAGES.get(path.rpartition("/")[2], FILE), path)


def without_tree(path: str) -> str:
    """``path`` below the tree for BIOS or UEFI that it may begin with."""
    found = _TREES.match(path)
    return path[found.end() :] if found else path


def _config(language: Language, stage: str, name: str, found: re.Match[str]) -> Wanted:
    parts = found.groupdict()
    arch = parts["arch"]
    return Wanted(
        stage,
        name,
        mac=normal_mac(parts["mac"]) if parts["mac"] else None,
        language=language,
        uuid=parts["uuid"].lower() if parts["uuid"] else None,
        ip=parts["ip"].upper() if parts["ip"] else None,
        default=bool(parts["default"]),
        arch=architecture.normal(arch) if arch else None,
    )


def _ipxe_start(query: Mapping[str, str]) -> Wanted:
    text = query.get("mac")
    if text is None:
        return Wanted(SCRIPT, IPXE_START, language="ipxe")
    mac = normal_mac(text)
    return Wanted(SCRIPT, f"ipxe/{mac.replace(':', '-')}", mac, language="ipxe")


def hexadecimal(address: str) -> str:
    """An IPv4 address as loaders write it in names (192.168.1.205: C0A801CD); "" for IPv6."""
    found = ipaddress.ip_address(address)
    return f"{int(found):08X}" if found.version == 4 else ""


def ipxe_script(mac_text: str) -> str:
    """The path of a machine's iPXE script."""
    return f"ipxe/{mac_text}"


def boot_file(key: str, stage: str) -> str:
    """The path of a kernel or ramdisk."""
    if stage not in (KERNEL, RAMDISK):
        raise Invalid(f"A boot has a kernel and a ramdisk, no {stage!r}.")
    return f"boot/{key}/{stage}"
