"""The inventory: what this machine is made of, in the shape that conductors store.

Reads sysfs, procfs and the SMBIOS table below given roots, so that a recorded
tree can stand in for a machine. Integers are JSON integers: consumers decode
strictly. What cannot be known is null, never guessed.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from agent.disks import list_disks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_SIOCGIFADDR = 0x8915
_ARPHRD_ETHER = "1"


class Machine:
    """Where to read: ``sys_root`` and ``proc_root`` are the mount points."""

    def __init__(
        self, sys_root: str = "/sys", proc_root: str = "/proc", boot_mac: str = ""
    ) -> None:
        self.sys_root, self.proc_root, self.boot_mac = sys_root, proc_root, boot_mac

    def inventory(self, bmc: Json | None = None) -> Json:
        """The whole inventory. ``bmc`` holds bmc_address, bmc_v6address and bmc_mac."""
        empty = {"bmc_address": None, "bmc_v6address": None, "bmc_mac": None}
        return {
            "interfaces": self.interfaces(),
            "cpu": self.cpu(),
            "disks": list_disks(self.sys_root),
            "memory": self.memory(),
            **(bmc or empty),
            "system_vendor": self.system_vendor(),
            "boot": self.boot(),
            "hostname": socket.gethostname(),
        }

    def interfaces(self) -> list[Json]:
        """Ethernet interfaces that are hardware, ordered by name."""
        base = os.path.join(self.sys_root, "class/net")
        names = sorted(os.listdir(base)) if os.path.isdir(base) else []
        found = []
        for name in names:
            path = os.path.join(base, name)
            is_hardware = os.path.exists(os.path.join(path, "device"))
            if is_hardware and _read(path, "type") == _ARPHRD_ETHER:
                found.append(self._interface(name, path))
        return found

    def _interface(self, name: str, path: str) -> Json:
        device = os.path.realpath(os.path.join(path, "device"))
        driver = os.path.join(path, "device/driver")
        speed = _integer(_read(path, "speed"))
        pci = _pci_device(device)
        return {
            "name": name,
            "mac_address": (_read(path, "address") or "").lower(),
            "ipv4_address": ipv4_of(name),
            "ipv6_address": self._ipv6_of(name),
            "has_carrier": _read(path, "carrier") == "1",
            "lldp": None,
            "vendor": _read(pci or device, "vendor"),
            "product": _read(pci or device, "device"),
            "client_id": None,
            "biosdevname": None,
            "speed_mbps": speed if speed and speed > 0 else None,
            "pci_address": os.path.basename(pci) if pci else None,
            "driver": os.path.basename(os.path.realpath(driver))
            if os.path.exists(driver)
            else None,
        }

    def _ipv6_of(self, name: str) -> str | None:
        """The interface's address of the widest scope: global before link-local."""
        lines = (_read(self.proc_root, "net/if_inet6") or "").splitlines()
        rows = [row for line in lines if len(row := line.split()) == 6 and row[5] == name]
        if not rows:
            return None
        raw = bytes.fromhex(min(rows, key=lambda row: int(row[3], 16))[0])
        return socket.inet_ntop(socket.AF_INET6, raw)

    def cpu(self) -> Json:
        """Model, count of logical CPUs and sockets, flags of the first CPU."""
        cpus = [_colon_pairs(part) for part in self._cpuinfo() if "processor" in part]
        first = cpus[0] if cpus else {}
        top = os.path.join(self.sys_root, "devices/system/cpu/cpu0/cpufreq")
        kilohertz = _integer(_read(top, "cpuinfo_max_freq"))
        sockets = {cpu.get("physical id", "0") for cpu in cpus}
        return {
            "model_name": first.get("model name", ""),
            "frequency": f"{kilohertz / 1000:.4f}" if kilohertz else first.get("cpu MHz", ""),
            "count": len(cpus),
            "architecture": os.uname().machine,
            "flags": first.get("flags", first.get("Features", "")).split(),
            "socket_count": len(sockets),
        }

    def _cpuinfo(self) -> list[str]:
        return (_read(self.proc_root, "cpuinfo") or "").split("\n\n")

    def memory(self) -> Json:
        """``total`` is what the kernel has, ``physical_mb`` what the SMBIOS says is plugged in."""
        pairs = _colon_pairs(_read(self.proc_root, "meminfo") or "")
        kibibytes = _integer(pairs.get("MemTotal", "").partition(" ")[0])
        table = os.path.join(self.sys_root, "firmware/dmi/tables/DMI")
        plugged = memory_of_smbios(_read_bytes(table))
        return {
            "total": kibibytes * 1024 if kibibytes else None,
            "physical_mb": plugged or (kibibytes or 0) // 1024,
        }

    def system_vendor(self) -> Json:
        """Maker, product, serial number and firmware, from the SMBIOS."""
        path = os.path.join(self.sys_root, "class/dmi/id")
        return {
            "product_name": _read(path, "product_name") or "",
            "serial_number": _read(path, "product_serial") or "",
            "manufacturer": _read(path, "sys_vendor") or "",
            "firmware": {
                "vendor": _read(path, "bios_vendor") or "",
                "version": _read(path, "bios_version") or "",
                "build_date": _read(path, "bios_date") or "",
            },
        }

    def boot(self) -> Json:
        """How this machine was started: firmware kind and the interface it booted from."""
        uefi = os.path.exists(os.path.join(self.sys_root, "firmware/efi"))
        return {
            "current_boot_mode": "uefi" if uefi else "bios",
            "pxe_interface": self.boot_mac or None,
        }


def memory_of_smbios(table: bytes) -> int:
    """MiB of all memory devices (SMBIOS 3.6 type 17, sections 6.1.2 and 7.18); 0 if unknown."""
    total, at = 0, 0
    while at + 4 <= len(table):
        kind, length = table[at], table[at + 1]
        if length < 4 or at + length > len(table):
            break
        if kind == 17 and length >= 0x0E:
            total += _module_size(table[at : at + length])
        strings_end = table.find(b"\0\0", at + length)
        if strings_end < 0 or kind == 127:
            break
        at = strings_end + 2
    return total


def _module_size(record: bytes) -> int:
    (size,) = struct.unpack("<H", record[0x0C:0x0E])
    if size in (0, 0xFFFF):
        return 0
    if size == 0x7FFF and len(record) >= 0x20:
        return int(struct.unpack("<I", record[0x1C:0x20])[0]) & 0x7FFFFFFF
    return int((size & 0x7FFF) // 1024 if size & 0x8000 else size)


def ipv4_of(interface: str) -> str | None:
    """The interface's IPv4 address, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("256s", interface.encode()[:15])
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFADDR, request)
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def _pci_device(device: str) -> str | None:
    """The PCI device at or above ``device``: a virtio interface hangs one level below it."""
    while len(device) > 1:
        name = os.path.basename(device)
        if len(name) == 12 and name[4] == name[7] == ":" and name[10] == ".":
            return device
        device = os.path.dirname(device)
    return None


def _read(path: str, name: str) -> str | None:
    text = _read_bytes(os.path.join(path, name)).decode("utf-8", "replace")
    return text.strip("\0 \t\n") or None


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _colon_pairs(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
