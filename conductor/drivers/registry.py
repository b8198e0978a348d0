"""All hardware types, in one table, and a node's driver made from it.

The order of names within a kind is the order of preference: the first one is
what a node gets that names none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from conductor.drivers import fake, plain
from conductor.drivers.agentinspect import AgentInspect
from conductor.drivers.base import (
    Boot,
    Deploy,
    HardwareType,
    Inspect,
    Interface,
    Management,
    Power,
)
from conductor.drivers.direct import DirectDeploy
from conductor.drivers.ipmi import IpmiManagement, IpmiPower
from conductor.drivers.netboot import IpxeBoot, PxeBoot
from conductor.ipmi import target as ipmi_target
from drophammer.errors import Invalid, Unsupported
from drophammer.model import INTERFACES, Node

if TYPE_CHECKING:
    from conductor.toolbox import Toolbox

Kind = TypeVar("Kind", bound=Interface)


def _types() -> dict[str, HardwareType]:
    netboot: dict[str, type[Interface]] = {"ipxe": IpxeBoot, "pxe": PxeBoot}
    network: dict[str, type[Interface]] = {
        "flat": plain.PlainNetwork,
        "noop": plain.PlainNetwork,
    }
    file_properties = {
        "deploy_kernel": "URL of the kernel this node boots for deployment, cleaning, inspection.",
        "deploy_ramdisk": "URL of the ramdisk that goes with deploy_kernel.",
        "kernel_append_params": "Kernel parameters of the ramdisk; %default% stands for the "
        "configured ones.",
    }
    types = (
        HardwareType(
            "fake-hardware",
            {
                "bios": {"fake": fake.FakeBios, "no-bios": plain.NoBios},
                "boot": {"fake": fake.FakeBoot, **netboot},
                "console": {"fake": fake.FakeConsole, "no-console": plain.NoConsole},
                "deploy": {"fake": fake.FakeDeploy, "direct": DirectDeploy},
                "firmware": {"fake": fake.FakeFirmware, "no-firmware": plain.NoFirmware},
                "inspect": {
                    "fake": fake.FakeInspect,
                    "agent": AgentInspect,
                    "no-inspect": plain.NoInspect,
                },
                "management": {"fake": fake.FakeManagement},
                "network": network,
                "power": {"fake": fake.FakePower},
                "raid": {"fake": fake.FakeRaid, "no-raid": plain.NoRaid},
                "rescue": {"fake": fake.FakeRescue, "no-rescue": plain.NoRescue},
                "storage": {"fake": fake.FakeStorage, "noop": plain.LocalStorage},
                "vendor": {"fake": fake.FakeVendor, "no-vendor": plain.NoVendor},
            },
            file_properties,
        ),
        HardwareType(
            "ipmi",
            {
                "bios": {"no-bios": plain.NoBios},
                "boot": netboot,
                "console": {"no-console": plain.NoConsole},
                "deploy": {"direct": DirectDeploy},
                "firmware": {"no-firmware": plain.NoFirmware},
                "inspect": {"agent": AgentInspect, "no-inspect": plain.NoInspect},
                "management": {"ipmitool": IpmiManagement},
                "network": network,
                "power": {"ipmitool": IpmiPower},
                "raid": {"no-raid": plain.NoRaid},
                "rescue": {"no-rescue": plain.NoRescue},
                "storage": {"noop": plain.LocalStorage},
                "vendor": {"no-vendor": plain.NoVendor},
            },
            {**ipmi_target.PROPERTIES, **file_properties},
        ),
    )
    return {hardware.name: hardware for hardware in types}


class Drivers:
    """The enabled hardware types of one conductor, each interface made once."""

    def __init__(self, enabled: tuple[str, ...]) -> None:
        known = _types()
        unknown = [name for name in enabled if name not in known]
        if unknown:
            raise Invalid(
                f"[DEFAULT] enabled_hardware_types names {', '.join(unknown)}; known are "
                f"{', '.join(known)}."
            )
        self.types = {name: known[name] for name in enabled}
        self._made: dict[type[Interface], Interface] = {}
        self._lock = threading.Lock()

    def make(self, box: Toolbox, cls: type[Interface]) -> Interface:
        """The one instance of an interface class."""
        with self._lock:
            if cls not in self._made:
                self._made[cls] = cls(box)
            return self._made[cls]

    def describe(self, defaults: Mapping[str, str]) -> dict[str, Any]:
        """What goes into the conductors table, for the API to offer and check.

        Raises Invalid for a default that no enabled hardware type has.
        """
        for kind, name in defaults.items():
            if not any(name in hardware.interfaces[kind] for hardware in self.types.values()):
                raise Invalid(
                    f"[DEFAULT] default_{kind}_interface = {name}: no enabled hardware type has "
                    "such an interface."
                )
        return {
            name: {
                "interfaces": {
                    kind: {
                        "enabled": list(hardware.interfaces[kind]),
                        "default": defaults.get(kind) or next(iter(hardware.interfaces[kind])),
                    }
                    for kind in INTERFACES
                },
                "properties": dict(hardware.properties),
            }
            for name, hardware in self.types.items()
        }


class Driver:
    """A node's hardware type with the interfaces that the node chose."""

    def __init__(self, box: Toolbox, node: Node) -> None:
        self.box = box
        self._node = node

    @property
    def power(self) -> Power:
        return self._of("power", Power)

    @property
    def management(self) -> Management:
        return self._of("management", Management)

    @property
    def boot(self) -> Boot:
        return self._of("boot", Boot)

    @property
    def deploy(self) -> Deploy:
        return self._of("deploy", Deploy)

    @property
    def inspect(self) -> Inspect:
        return self._of("inspect", Inspect)

    def interface(self, kind: str) -> Interface:
        """The node's interface of a kind. Raises Unsupported when this conductor has none such."""
        if kind not in INTERFACES:
            raise Unsupported(f"There is no interface of kind {kind!r}.")
        hardware = self.box.drivers.types.get(self._node.driver)
        if hardware is None:
            raise Unsupported(
                f"Node {self._node.uuid} uses driver '{self._node.driver}', which this conductor "
                "does not have enabled."
            )
        name = getattr(self._node, f"{kind}_interface")
        choices = hardware.interfaces[kind]
        if name is None:
            name = self.box.settings.default_interfaces.get(kind) or next(iter(choices))
        if name not in choices:
            raise Unsupported(
                f"Driver '{hardware.name}' has no {kind} interface '{name}'; it has "
                f"{', '.join(choices)}."
            )
        return self.box.drivers.make(self.box, choices[name])

    def _of(self, kind: str, cls: type[Kind]) -> Kind:
        found = self.interface(kind)
        if not isinstance(found, cls):
            found.validate(self._node)  # The no-* interfaces say so themselves.
            raise Unsupported(f"Node {self._node.uuid} has no working {kind} interface.")
        return found
