"""Interfaces without hardware behind them: ``no-*`` and ``noop``."""

from __future__ import annotations

from conductor.drivers.base import Deploy, Management, Nothing, Storage
from drophammer.model import Node


class NoBios(Nothing):
    kind = "bios"


class NoConsole(Nothing):
    kind = "console"


class NoFirmware(Nothing):
    kind = "firmware"


class NoInspect(Nothing):
    kind = "inspect"


class NoRaid(Nothing):
    kind = "raid"


class NoRescue(Nothing):
    kind = "rescue"


class NoVendor(Nothing):
    kind = "vendor"


class LocalStorage(Storage):
    """Disks inside the machine (``noop``): nothing to attach."""


class NoopManagement(Management):
    """Somebody else chooses what the machine boots from; what is asked here is not heard."""

    devices = ("pxe", "disk", "cdrom", "bios", "safe")

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        return None, None

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        """Nobody is told."""


class NoopDeploy(Deploy):
    """The machine comes with its system: it is active as soon as somebody says so."""
