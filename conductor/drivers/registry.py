"""All hardware types, in one table, and a node's driver made from it.

The order of names within a kind is the order of preference: the first one that is
enabled is what a node gets that names none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from conductor.drivers import autodetect
from conductor.drivers.base import (
    Bios,
    Boot,
    Console,
    Deploy,
    Firmware,
    HardwareType,
    Inspect,
    Interface,
    Management,
    Network,
    Nothing,
    Power,
    Raid,
    Rescue,
    Storage,
    Vendor,
)
from conductor.drivers.table import hardware_types
from drophammer.errors import Invalid, NotFound, Unsupported
from drophammer.model import INTERFACES, Node

if TYPE_CHECKING:
    from conductor.settings import Settings
    from conductor.toolbox import Toolbox

Kind = TypeVar("Kind", bound=Interface)
Choices = Mapping[str, type[Interface]]


class Drivers:
    """The enabled hardware types of one conductor, each interface made once.

    ``interfaces`` names, per kind, the enabled interfaces; kinds that are left out have
    all of theirs. Raises Invalid for unknown names, and for a kind of which nothing is
    left.
    """

    def __init__(
        self, enabled: Sequence[str], interfaces: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        known = hardware_types()
        unknown = [name for name in enabled if name not in known]
        if unknown:
            raise Invalid(
                f"[DEFAULT] enabled_hardware_types names {', '.join(unknown)}; known are "
                f"{', '.join(known)}."
            )
        chosen = [known[name] for name in enabled]
        for kind, names in (interfaces or {}).items():
            _check_known(chosen, kind, names)
        self.types = {
            hardware.name: _cut(hardware, interfaces or {}, list(enabled)) for hardware in chosen
        }
        self._made: dict[type[Interface], Interface] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Drivers:
        """What the configuration enables. Raises Invalid where it contradicts itself."""
        drivers = cls(settings.hardware_types, settings.enabled_interfaces)
        drivers.describe(settings.default_interfaces)
        order = settings.autodetect_deploy_interfaces
        known = {name for one in hardware_types().values() for name in one.interfaces["deploy"]}
        unknown = sorted(set(order) - known | {"autodetect"} & set(order))
        if unknown:
            raise Invalid(
                f"[DEFAULT] autodetect_deploy_interfaces names {', '.join(unknown)}; it chooses "
                f"from {', '.join(sorted(known - {'autodetect'}))}."
            )
        return drivers

    def make(self, box: Toolbox, cls: type[Interface]) -> Interface:
        """The one instance of an interface class."""
        with self._lock:
            if cls not in self._made:
                self._made[cls] = cls(box)
            return self._made[cls]

    def default(self, box: Toolbox, driver: str, kind: str) -> Interface:
        """What a node of the hardware type ``driver`` gets for ``kind`` that names nothing.

        Raises NotFound when this conductor does not have the hardware type.
        """
        hardware = self.types.get(driver)
        if hardware is None:
            raise NotFound(f"Driver {driver[:80]} could not be found on this conductor.")
        choices = hardware.interfaces[kind]
        name = box.settings.default_interfaces.get(kind) or next(iter(choices))
        if name not in choices:
            raise NotFound(f"Driver {driver} has no {kind} interface '{name}'.")
        return self.make(box, choices[name])

    def describe(self, defaults: Mapping[str, str]) -> dict[str, Any]:
        """What goes into the conductors table, for the API to offer and check.

        Raises Invalid for a default that no enabled hardware type has.
        """
        for kind, name in defaults.items():
            if not any(name in hardware.interfaces[kind] for hardware in self.types.values()):
                raise Invalid(
                    f"[DEFAULT] default_{kind}_interface = {name}: no enabled hardware type has "
                    "such an interface, or it is not among the enabled ones."
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
        self.node = node

    def without_instance(self) -> Driver:
        """The node's driver once its instance is gone, with all that the instance had chosen."""
        values = {column.key: getattr(self.node, column.key) for column in Node.__table__.columns}
        return Driver(self.box, Node(**{**values, "instance_info": {}}))

    @property
    def bios(self) -> Bios:
        return self._of("bios", Bios)

    @property
    def boot(self) -> Boot:
        return self._of("boot", Boot)

    @property
    def console(self) -> Console:
        return self._of("console", Console)

    @property
    def deploy(self) -> Deploy:
        return self._of("deploy", Deploy)

    @property
    def firmware(self) -> Firmware:
        return self._of("firmware", Firmware)

    @property
    def inspect(self) -> Inspect:
        return self._of("inspect", Inspect)

    @property
    def management(self) -> Management:
        return self._of("management", Management)

    @property
    def network(self) -> Network:
        return self._of("network", Network)

    @property
    def power(self) -> Power:
        return self._of("power", Power)

    @property
    def raid(self) -> Raid:
        return self._of("raid", Raid)

    @property
    def rescue(self) -> Rescue:
        return self._of("rescue", Rescue)

    @property
    def storage(self) -> Storage:
        return self._of("storage", Storage)

    @property
    def vendor(self) -> Vendor:
        return self._of("vendor", Vendor)

    def has(self, kind: str) -> bool:
        """Whether the node can do anything of this kind at all."""
        return not isinstance(self.interface(kind), Nothing)

    def interface(self, kind: str) -> Interface:
        """The node's interface of a kind. Raises Unsupported when this conductor has none such.

        ``instance_info`` may name another one than the node does, as long as the
        instance is there.
        """
        if kind not in INTERFACES:
            raise Unsupported(f"There is no interface of kind {kind!r}.")
        hardware = self.box.drivers.types.get(self.node.driver)
        if hardware is None:
            raise Unsupported(
                f"Node {self.node.uuid} uses driver '{self.node.driver}', which this conductor "
                "does not have enabled."
            )
        choices = hardware.interfaces[kind]
        name = self._name(kind) or next(iter(choices))
        if name not in choices:
            raise Unsupported(
                f"Node {self.node.uuid}: the driver '{hardware.name}' does not support the {kind} "
                f"interface '{name}' here; enabled are {', '.join(choices)}."
            )
        cls = choices[name]
        if cls is autodetect.AutodetectDeploy:
            order = self.box.settings.autodetect_deploy_interfaces
            cls = autodetect.choose(self.node, choices, order)
        return self.box.drivers.make(self.box, cls)

    def _name(self, kind: str) -> str | None:
        field = f"{kind}_interface"
        override = self.node.instance_info.get(field)
        if isinstance(override, str) and override:
            return override
        name: str | None = getattr(self.node, field)
        return name or self.box.settings.default_interfaces.get(kind)

    def _of(self, kind: str, cls: type[Kind]) -> Kind:
        found = self.interface(kind)
        if not isinstance(found, cls):
            found.validate(self.node)  # The no-* interfaces say so themselves.
            raise Unsupported(f"Node {self.node.uuid} has no working {kind} interface.")
        return found


def _check_known(types: Sequence[HardwareType], kind: str, names: Sequence[str]) -> None:
    known = {name: None for hardware in types for name in hardware.interfaces[kind]}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Invalid(
            f"[DEFAULT] enabled_{kind}_interfaces names {', '.join(unknown)}; the enabled "
            f"hardware types have {', '.join(known)}."
        )


def _cut(
    hardware: HardwareType, interfaces: Mapping[str, Sequence[str]], types: Sequence[str]
) -> HardwareType:
    """The hardware type with only the enabled interfaces."""
    kept: dict[str, Choices] = {}
    for kind, choices in hardware.interfaces.items():
        wanted = interfaces.get(kind)
        kept[kind] = {
            name: cls for name, cls in choices.items() if wanted is None or name in wanted
        }
        if not kept[kind]:
            raise Invalid(
                f"[DEFAULT] enabled_{kind}_interfaces = {', '.join(wanted or ())} leaves "
                f"'{hardware.name}' without a {kind} interface: add one of {', '.join(choices)}, "
                f"or take it out of enabled_hardware_types = {', '.join(types)}."
            )
    return HardwareType(hardware.name, kept, hardware.properties)
