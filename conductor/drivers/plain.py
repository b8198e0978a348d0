"""Interfaces without hardware behind them: ``no-*``, ``noop`` and the flat network."""

from __future__ import annotations

from conductor.drivers.base import Interface, Nothing
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


class PlainNetwork(Interface):
    """One network for everything (``flat``, ``noop``): nothing to switch."""

    kind = "network"


class LocalStorage(Interface):
    """Disks inside the machine (``noop``): nothing to attach."""

    kind = "storage"

    def validate(self, node: Node) -> None:
        """Local disks need no settings."""
