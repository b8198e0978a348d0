"""What an interface of a hardware type can do. A driver is one file of subclasses
plus its line in ``registry.py``.

``validate`` looks at the node's fields only and never touches hardware; it
raises Invalid naming every missing or wrong value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from conductor.outcomes import Outcome
from conductor.toolbox import Toolbox
from drophammer.errors import Unsupported
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

StepFunction = Callable[["Task", Step], Outcome]


class Interface:
    """Base of all kinds."""

    kind: ClassVar[str]

    def __init__(self, box: Toolbox) -> None:
        self.box = box

    def validate(self, node: Node) -> None:
        """Raise Invalid when the node's fields do not suffice for this interface."""

    def functions(self) -> Mapping[str, StepFunction]:
        """The steps of this interface that the conductor itself can run, by name."""
        return {}


class Nothing(Interface):
    """The ``no-*`` interfaces: the machine has no such ability."""

    def validate(self, node: Node) -> None:
        raise Unsupported(f"The {self.kind} interface of node {node.uuid} is switched off.")


class Power(Interface):
    """Switches a machine."""

    kind = "power"

    def state(self, node: Node) -> str:
        """Ask the hardware: "power on" or "power off". Raises HardwareError."""
        raise NotImplementedError

    def send(self, node: Node, action: str) -> None:
        """Tell the hardware on, off, reset or soft. Does not wait for it to happen."""
        raise NotImplementedError


class Management(Interface):
    """Chooses what a machine boots from."""

    kind = "management"
    devices: ClassVar[tuple[str, ...]] = ()

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        """(device, persistent) as the hardware tells it."""
        raise NotImplementedError

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        """Boot from ``device`` next, or always."""
        raise NotImplementedError


class Boot(Interface):
    """Makes a machine boot our ramdisk."""

    kind = "boot"

    def prepare(self, task: Task, purpose: str) -> None:
        """Let the node's next network boot be the ramdisk, for ``purpose``."""
        raise NotImplementedError

    def clean_up(self, task: Task) -> None:
        """The node boots nothing of ours any more."""
        raise NotImplementedError


class Deploy(Interface):
    """Puts a system on a machine, takes it away, cleans."""

    kind = "deploy"
    uses_agent: ClassVar[bool] = False

    def deploy_steps(self, node: Node) -> list[StepSpec]:
        """The driver's own steps of a deployment, highest priority first."""
        raise NotImplementedError

    def clean_steps(self, node: Node) -> list[StepSpec]:
        """The driver's own steps of automated cleaning (the agent adds its own)."""
        return []


class Inspect(Interface):
    """Reads what is in a machine."""

    kind = "inspect"
    uses_agent: ClassVar[bool] = False

    def steps(self, node: Node) -> list[StepSpec]:
        """The steps of an inspection."""
        raise NotImplementedError


@dataclass(frozen=True)
class HardwareType:
    """A driver: per interface kind the classes by name, the default first."""

    name: str
    interfaces: Mapping[str, Mapping[str, type[Interface]]]
    properties: Mapping[str, str] = field(default_factory=dict)
