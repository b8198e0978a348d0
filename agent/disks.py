"""The machine's disks: which there are (sysfs), and which one is the root disk.

Sizes are bytes. Optical drives, RAM disks, loop devices and removable media
without a medium are not disks. Nothing here opens a disk.
"""

from __future__ import annotations

import os

from agent import hints
from agent.errors import DeviceNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Disk = dict[str, Any]

#: Without hints no disk below this is taken for the root disk: it is more likely
#: a card reader or a controller's configuration store.
MINIMUM_ROOT_SIZE = 4 << 30
_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd", "md", "dm-", "nbd", "mtdblock")


def list_disks(sys_root: str = "/sys") -> list[Disk]:
    """All disks in the shape of the inventory, ordered by name."""
    base = os.path.join(sys_root, "block")
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    kept = [name for name in names if not name.startswith(_NOT_DISKS)]
    # Controllers and spare paths of multipath NVMe appear as nvme0c0n1.
    kept = [n for n in kept if not (n.startswith("nvme") and "c" in n[4:])]
    disks = [_describe(os.path.join(base, name), name) for name in kept]
    return [disk for disk in disks if disk["size"]]


def choose_root(
    disks: list[Disk], root_hints: dict[str, object], minimum: int = MINIMUM_ROOT_SIZE
) -> Disk:
    """The root disk: the first that fits all hints, or without hints the smallest large one.

    Raises InvalidHint, and DeviceNotFound with the hints and the disks seen.
    """
    if root_hints:
        hints.check(root_hints)
        for disk in disks:
            if hints.match(root_hints, disk):
                return disk
        raise DeviceNotFound(
            f"no disk fits the root device hints {root_hints!r}; seen: {seen(disks)}"
        )
    large = [disk for disk in disks if disk["size"] >= minimum]
    if not large:
        raise DeviceNotFound(
            f"no disk of at least {minimum >> 30} GiB to install on (there are no root device"
            f" hints); seen: {seen(disks)}"
        )
    return min(large, key=lambda disk: (disk["size"], disk["name"]))


def root_hints_of(node: dict[str, Any]) -> dict[str, object]:
    """The hints of a node record: those of ``instance_info`` win over ``properties``."""
    for place in ("instance_info", "properties"):
        found = (node.get(place) or {}).get("root_device")
        if found:
            if not isinstance(found, dict):
                raise DeviceNotFound(f"{place}.root_device is not an object of hints: {found!r}")
            return found
    return {}


def seen(disks: list[Disk]) -> str:
    """The disks in words, for an error message."""
    words = [
        f"{disk['name']} ({disk['size'] / (1 << 30):.1f} GiB, model {disk['model'] or 'unknown'},"
        f" serial {disk['serial'] or 'unknown'})"
        for disk in disks
    ]
    return ", ".join(words) or "no disk at all"


def _describe(path: str, name: str) -> Disk:
    real = os.path.realpath(path)
    wwn = _wwn(path)
    return {
        "name": f"/dev/{name}",
        "model": _read(path, "device/model") or "",
        "size": int(_read(path, "size") or "0") * 512,
        "rotational": _read(path, "queue/rotational") == "1",
        "wwn": wwn,
        "serial": _read(path, "serial") or _read(path, "device/serial") or _page_80(path),
        "vendor": _read(path, "device/vendor"),
        "wwn_with_extension": wwn,
        "wwn_vendor_extension": None,
        "hctl": _hctl(real),
        "by_path": _by_path(real, name),
        "logical_sectors": int(_read(path, "queue/logical_block_size") or "512"),
        "physical_sectors": int(_read(path, "queue/physical_block_size") or "512"),
        "tran": _transport(real, name),
    }


def _read(path: str, name: str) -> str | None:
    try:
        with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0 \t\n") or None
    except OSError:
        return None


def _wwn(path: str) -> str | None:
    """World wide name; SCSI's ``naa.5000…`` is written ``0x5000…`` everywhere else."""
    text = _read(path, "wwid") or _read(path, "device/wwid")
    if text and text.startswith("naa."):
        return "0x" + text[4:]
    return text if text and text.startswith(("eui.", "nvme.", "uuid.", "0x")) else None


def _page_80(path: str) -> str | None:
    """The serial number in SCSI's vital product data page 0x80 (SPC-4 section 7.8.15)."""
    try:
        with open(os.path.join(path, "device/vpd_pg80"), "rb") as file:
            data = file.read()
    except OSError:
        return None
    return data[4 : 4 + data[3]].decode("ascii", "replace").strip("\0 ") or None if data else None


def _hctl(real: str) -> str | None:
    for part in reversed(real.split("/")):
        numbers = part.split(":")
        if len(numbers) == 4 and all(number.isdigit() for number in numbers):
            return part
    return None


def _pci_address(real: str) -> str | None:
    for part in reversed(real.split("/")):
        if len(part) == 12 and part[4] == part[7] == ":" and part[10] == ".":
            return part
    return None


def _by_path(real: str, name: str) -> str | None:
    """The ``/dev/disk/by-path`` name that udev would give, where it is the device's address."""
    address = _pci_address(real)
    if address is None:
        return None
    if name.startswith("vd"):
        return f"/dev/disk/by-path/pci-{address}"
    if name.startswith("nvme"):
        return f"/dev/disk/by-path/pci-{address}-nvme-{name.rpartition('n')[2]}"
    hctl = _hctl(real)
    if hctl and "/ata" not in real and "/usb" not in real:
        return f"/dev/disk/by-path/pci-{address}-scsi-{hctl}"
    return None


def _transport(real: str, name: str) -> str | None:
    if name.startswith("vd"):
        return "virtio"
    if name.startswith("nvme"):
        return "nvme"
    marks = (("/usb", "usb"), ("/ata", "sata"), ("/session", "iscsi"), ("/rport-", "fc"))
    for mark, transport in (*marks, ("/end_device-", "sas")):
        if mark in real:
            return transport
    return None
