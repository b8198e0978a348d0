"""What an interface of a hardware type can do. A driver is one file of subclasses
plus its line in ``table.py``.

``validate`` looks at the node's fields only and never touches hardware; it
raises Invalid naming every missing or wrong value. A method that a driver does
not override raises Unsupported: the machine cannot do that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from conductor.drivers.vendormethods import DriverMethod, VendorMethod
from conductor.outcomes import Outcome
from conductor.toolbox import Toolbox
from drophammer.errors import Unsupported
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

StepFunction = Callable[["Task", Step], Outcome]
Known = Callable[[], Mapping[str, Mapping[str, Any]]]
"""What was kept by name when the hardware was read last; it is looked up when it is called."""


class Interface:
    """Base of all kinds."""

    kind: ClassVar[str]

    def __init__(self, box: Toolbox) -> None:
        self.box = box

    def validate(self, node: Node) -> None:
        """Raise Invalid when the node's fields do not suffice for this interface."""

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        """The steps that this interface offers for ``purpose``: clean, deploy or service.

        Highest priority first; those of priority 0 run only when somebody asks for them.
        """
        return []

    def functions(self) -> Mapping[str, StepFunction]:
        """The steps of this interface that the conductor itself can run, by name."""
        return {}

    def lacks(self, node: Node, ability: str) -> Unsupported:
        """The error for something that this interface cannot do."""
        name = getattr(node, f"{self.kind}_interface") or "the default"
        return Unsupported(
            f"Node {node.uuid}: the driver '{node.driver}' does not support {ability} "
            f"({self.kind} interface '{name}')."
        )


class Nothing(Interface):
    """The ``no-*`` interfaces: the machine has no such ability."""

    def validate(self, node: Node) -> None:
        raise Unsupported(
            f"Node {node.uuid}: the driver '{node.driver}' does not support {self.kind} "
            f"(interface 'no-{self.kind}')."
        )


class Power(Interface):
    """Switches a machine."""

    kind = "power"

    def state(self, node: Node) -> str:
        """Ask the hardware: "power on" or "power off". Raises HardwareError."""
        raise NotImplementedError

    def send(self, node: Node, action: str) -> None:
        """Tell the hardware on, off, reset or soft. Does not wait for it to happen."""
        raise NotImplementedError


@dataclass(frozen=True)
class Indicator:
    """A light on a machine: ``name`` (led) on ``component`` (system), and what it can show."""

    component: str
    name: str
    states: tuple[str, ...] = ("on", "off")
    readonly: bool = False


class Management(Interface):
    """Chooses what a machine boots from, and how; its other out-of-band abilities."""

    kind = "management"
    devices: ClassVar[tuple[str, ...]] = ()
    boot_modes: ClassVar[tuple[str, ...]] = ()
    drives: ClassVar[tuple[str, ...]] = ()

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        """(device, persistent) as the hardware tells it."""
        raise NotImplementedError

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        """Boot from ``device`` next, or always."""
        raise NotImplementedError

    def set_boot_mode(self, node: Node, mode: str) -> None:
        """Have the firmware boot as ``mode``, one of ``boot_modes``, from the next boot on."""
        raise self.lacks(node, "setting the boot mode")

    def set_secure_boot(self, node: Node, *, on: bool) -> None:
        """Switch Secure Boot on or off, from the next boot on."""
        raise self.lacks(node, "switching Secure Boot")

    def inject_nmi(self, node: Node) -> None:
        """Interrupt the operating system so that it dumps its memory."""
        raise self.lacks(node, "injecting an NMI")

    def indicators(self, node: Node) -> Sequence[Indicator]:
        """The lights that this machine has."""
        raise self.lacks(node, "indicators")

    def indicator(self, node: Node, indicator: Indicator) -> str:
        """What a light shows: on, off, blinking or unknown."""
        raise self.lacks(node, "indicators")

    def set_indicator(self, node: Node, indicator: Indicator, state: str) -> None:
        """Have a light show ``state``, one of its ``states``."""
        raise self.lacks(node, "indicators")

    def virtual_media(self, node: Node) -> list[dict[str, Any]]:
        """The drives that the controller emulates, and what is in them."""
        raise self.lacks(node, "virtual media")

    def attach_virtual_media(self, node: Node, device: str, image_url: str) -> None:
        """Put the image at ``image_url`` into the emulated drive ``device``."""
        raise self.lacks(node, "virtual media")

    def detach_virtual_media(self, node: Node, devices: Sequence[str]) -> None:
        """Empty the emulated drives ``devices``; all of them when none is named."""
        raise self.lacks(node, "virtual media")


class Boot(Interface):
    """Makes a machine boot our ramdisk."""

    kind = "boot"

    def prepare(self, task: Task, purpose: str) -> None:
        """Let the node's next network boot be the ramdisk, for ``purpose``."""
        raise NotImplementedError

    def clean_up(self, task: Task) -> None:
        """The node boots nothing of ours any more."""
        raise NotImplementedError

    def prepare_instance(self, task: Task) -> None:
        """Let every boot be the instance's own kernel and ramdisk, until ``clean_up``."""
        raise NotImplementedError

    def validate_volume(self, node: Node) -> None:
        """Raise unless this can boot a machine from a volume."""
        raise self.lacks(node, "booting from a volume")

    def prepare_volume(self, task: Task) -> None:
        """Let every boot be from the node's boot volume, until ``clean_up``."""
        raise self.lacks(task.node, "booting from a volume")


class Deploy(Interface):
    """Puts a system on a machine, takes it away, cleans.

    ``uses_agent``: its deployments and cleanings go through an agent in the ramdisk,
    which offers steps of its own.
    """

    kind = "deploy"
    uses_agent: ClassVar[bool] = False

    @classmethod
    def suits(cls, node: Node) -> bool:
        """Whether ``autodetect`` may choose this for what ``instance_info`` asks for."""
        return True

    def take_over(self, task: Task) -> None:
        """Offer what a running system needs of us that was deployed by somebody else."""

    def restore(self, task: Task) -> None:
        """Let the machine's next boot be the deployed system again, after a ramdisk of ours."""


class Inspect(Interface):
    """Reads what is in a machine."""

    kind = "inspect"
    uses_agent: ClassVar[bool] = False

    def inspect_steps(self, node: Node) -> list[StepSpec]:
        """The steps of an inspection."""
        raise NotImplementedError


class Rescue(Interface):
    """Boots a machine into a rescue system, and back into its own."""

    kind = "rescue"
    uses_agent: ClassVar[bool] = False

    def rescue_steps(self, node: Node) -> list[StepSpec]:
        """The steps into the rescue system; ``instance_info`` has the password meanwhile."""
        raise NotImplementedError

    def unrescue_steps(self, node: Node) -> list[StepSpec]:
        """The steps back."""
        raise NotImplementedError


class Bios(Interface):
    """Reads and changes firmware settings, the latter by its steps."""

    kind = "bios"

    def settings(self, node: Node, known: Known) -> list[dict[str, Any]]:
        """All settings as the hardware tells them.

        Keys: name, value and, where its registry says so, attribute_type,
        allowable_values, lower_bound, upper_bound, min_length, max_length, read_only,
        reset_required, unique.
        """
        raise self.lacks(node, "BIOS settings")


class Firmware(Interface):
    """Reads and, by its step ``update``, changes the versions of firmware."""

    kind = "firmware"

    def components(self, node: Node, known: Known) -> list[dict[str, Any]]:
        """All parts that have firmware of their own.

        Keys: component, current_version, vendor, model, serial_number and, when a part
        was updated, last_version_flashed.
        """
        raise self.lacks(node, "firmware components")


class Raid(Interface):
    """Builds logical disks, by its steps."""

    kind = "raid"

    def validate_config(self, node: Node, config: Mapping[str, Any]) -> None:
        """Raise Invalid unless ``config`` can be the node's ``target_raid_config``."""
        raise self.lacks(node, "RAID configuration")

    def logical_disk_properties(self) -> Mapping[str, str]:
        """What a logical disk in such a configuration may say, with descriptions."""
        return {}


class Console(Interface):
    """The serial console of a machine, for people elsewhere."""

    kind = "console"

    def start(self, node: Node) -> None:
        """Begin to offer it."""
        raise self.lacks(node, "a console")

    def stop(self, node: Node) -> None:
        """End that."""
        raise self.lacks(node, "a console")

    def info(self, node: Node) -> dict[str, Any]:
        """How to reach it: {"type", "url"}."""
        raise self.lacks(node, "a console")


class Network(Interface):
    """Connects a machine's ports to tenants' networks (VIFs), in the caller's transaction."""

    kind = "network"

    def vifs(self, session: Session, node: Node) -> list[dict[str, Any]]:
        """The attached VIFs as [{"id": ...}]."""
        raise NotImplementedError

    def attach_vif(self, session: Session, node: Node, info: Mapping[str, Any]) -> None:
        """Attach ``info["id"]`` to a port, that of ``port_uuid`` or ``portgroup_uuid`` if given.

        Raises Invalid when no port is free, Conflict when it is attached already.
        """
        raise NotImplementedError

    def detach_vif(self, session: Session, node: Node, vif: str) -> None:
        """Detach a VIF. Raises Invalid when it is not attached."""
        raise NotImplementedError


class Storage(Interface):
    """Attaches remote volumes to a machine."""

    kind = "storage"

    def boots(self, session: Session, node: Node) -> bool:
        """Whether the node's system is on a remote volume, so that no disk is to be written."""
        return False

    def offer(self, task: Task) -> bool:
        """Let every boot be from that volume, until the boot is cleaned up. False without one."""
        return False


class Vendor(Interface):
    """What a vendor's machines can do beyond all this."""

    kind = "vendor"

    def methods(self) -> Mapping[str, VendorMethod]:
        """What may be called on a node."""
        return {}

    def driver_methods(self) -> Mapping[str, DriverMethod]:
        """What may be called on the hardware type."""
        return {}


@dataclass(frozen=True)
class HardwareType:
    """A driver: per interface kind the classes by name, the default first."""

    name: str
    interfaces: Mapping[str, Mapping[str, type[Interface]]]
    properties: Mapping[str, str] = field(default_factory=dict)
