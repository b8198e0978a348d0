"""Fake management: boot device, firmware modes, lights and emulated drives, in memory.

What matters to an operation (boot mode, Secure Boot) is in the node's row; the
rest is forgotten with the process, as a controller forgets with its power.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conductor import images
from conductor.drivers.base import Indicator, Management, StepFunction
from conductor.drivers.fake.acting import Fake, pause
from conductor.outcomes import Outcome
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task
    from conductor.toolbox import Toolbox


@dataclass
class _Memory:
    boot_device: tuple[str, bool] = ("pxe", False)
    lights: dict[Indicator, str] = field(default_factory=dict)
    drives: dict[str, str] = field(default_factory=dict)


class FakeManagement(Fake, Management):
    devices = ("pxe", "disk", "cdrom", "bios", "safe")
    boot_modes = ("uefi", "bios")
    drives = ("cdrom", "floppy", "disk")

    def __init__(self, box: Toolbox) -> None:
        super().__init__(box)
        self._memories: dict[str, _Memory] = {}

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        self.act(node)
        return self._memory(node).boot_device

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        self.act(node)
        self._memory(node).boot_device = (device, persistent)

    def set_boot_mode(self, node: Node, mode: str) -> None:
        self.act(node)

    def set_secure_boot(self, node: Node, *, on: bool) -> None:
        self.act(node)

    def inject_nmi(self, node: Node) -> None:
        self.act(node)

    def indicators(self, node: Node) -> Sequence[Indicator]:
        self.act(node)
        return (
            Indicator("system", "led", ("on", "off", "blinking")),
            Indicator("chassis", "led", ("on", "off", "blinking")),
            Indicator("power", "led", ("on", "off"), readonly=True),
        )

    def indicator(self, node: Node, indicator: Indicator) -> str:
        self.act(node)
        if indicator.component == "power":
            return "on" if node.power_state == "power on" else "off"
        return self._memory(node).lights.get(indicator, "off")

    def set_indicator(self, node: Node, indicator: Indicator, state: str) -> None:
        self.act(node)
        self._memory(node).lights[indicator] = state

    def virtual_media(self, node: Node) -> list[dict[str, Any]]:
        self.act(node)
        drives = self._memory(node).drives
        return [
            {
                "media_types": [drive],
                "inserted": drive in drives,
                "image": drives.get(drive),
                "write_protected": drive == "cdrom",
            }
            for drive in self.drives
        ]

    def attach_virtual_media(self, node: Node, device: str, image_url: str) -> None:
        self.act(node)
        self._memory(node).drives[device] = images.shown(image_url)

    def detach_virtual_media(self, node: Node, devices: Sequence[str]) -> None:
        self.act(node)
        for device in devices or self.drives:
            self._memory(node).drives.pop(device, None)

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        return [StepSpec("management", "reset_bmc")] if purpose in ("clean", "service") else []

    def functions(self) -> Mapping[str, StepFunction]:
        return {"reset_bmc": self._reset_bmc}

    def _reset_bmc(self, task: Task, step: Step) -> Outcome:
        return pause(task, step, "management")

    def _memory(self, node: Node) -> _Memory:
        return self._memories.setdefault(node.uuid, _Memory())
