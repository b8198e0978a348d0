"""The ``fake-hardware`` driver: a whole machine in memory, with the delays that are configured.

A product part: for trying the API, for tests and for measuring. What it "knows"
of a machine (power, boot device) lives as long as the conductor process does.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.drivers.base import (
    Boot,
    Deploy,
    Inspect,
    Interface,
    Management,
    Power,
    StepFunction,
)
from conductor.outcomes import Again, Done, Outcome
from drophammer import states
from drophammer.model import Inventory, Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task
    from conductor.toolbox import Toolbox


class FakePower(Power):
    """Does what it is told, after [fake] power_delay; before that, it is as its row says."""

    def __init__(self, box: Toolbox) -> None:
        super().__init__(box)
        self._states: dict[str, str] = {}
        self._coming: dict[str, tuple[float, str]] = {}

    def state(self, node: Node) -> str:
        due, wanted = self._coming.get(node.uuid, (0.0, None))
        if wanted is not None and time.monotonic() >= due:
            self._states[node.uuid] = wanted
        known = self._states.get(node.uuid) or node.power_state
        return known if known == states.POWER_ON else states.POWER_OFF

    def send(self, node: Node, action: str) -> None:
        wanted = states.POWER_ON if action in ("on", "reset") else states.POWER_OFF
        delay = random.uniform(*self.box.settings.fake_delays.get("power", (0.0, 0.0)))
        self._coming[node.uuid] = (time.monotonic() + delay, wanted)


class FakeManagement(Management):
    devices = ("pxe", "disk", "cdrom", "bios", "safe")

    def __init__(self, box: Toolbox) -> None:
        super().__init__(box)
        self._devices: dict[str, tuple[str, bool]] = {}

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        return self._devices.get(node.uuid, ("pxe", False))

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        self._devices[node.uuid] = (device, persistent)


class FakeBoot(Boot):
    def prepare(self, task: Task, purpose: str) -> None:
        """Nothing boots."""

    def clean_up(self, task: Task) -> None:
        """Nothing was prepared."""


class FakeDeploy(Deploy):
    """A deployment that consists of waiting."""

    def deploy_steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("deploy", "deploy", 100)]

    def clean_steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("deploy", "erase_devices_metadata", 99, abortable=True)]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"deploy": self._deploy, "erase_devices_metadata": self._erase}

    def _deploy(self, task: Task, step: Step) -> Outcome:
        outcome = pause(task, step, "deploy")
        if isinstance(outcome, Done):
            task.driver.power.send(task.node, "on")
            task.update({"power_state": states.POWER_ON})
        return outcome

    def _erase(self, task: Task, step: Step) -> Outcome:
        return pause(task, step, "deploy")


class FakeInspect(Inspect):
    """Finds a small machine."""

    def steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("inspect", "inspect")]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"inspect": self._inspect}

    def _inspect(self, task: Task, step: Step) -> Outcome:
        outcome = pause(task, step, "inspect")
        if isinstance(outcome, Done):
            with task.box.store.write() as session:
                task.write(session, {})
                session.merge(
                    Inventory(
                        node_id=task.node.id,
                        inventory=_INVENTORY,
                        plugin_data={},
                        created_at=task.now(),
                    )
                )
            task.update({"properties": {**task.node.properties, "cpu_arch": "x86_64"}})
        return outcome


class _Fake(Interface):
    """An interface that has nothing to do yet."""


class FakeBios(_Fake):
    kind = "bios"


class FakeConsole(_Fake):
    kind = "console"


class FakeFirmware(_Fake):
    kind = "firmware"


class FakeRaid(_Fake):
    kind = "raid"


class FakeRescue(_Fake):
    kind = "rescue"


class FakeStorage(_Fake):
    kind = "storage"


class FakeVendor(_Fake):
    kind = "vendor"


def pause(task: Task, step: Step, kind: str) -> Outcome:
    """Done when the configured delay of ``kind`` has passed since the step began."""
    shortest, longest = task.box.settings.fake_delays.get(kind, (0.0, 0.0))
    if longest <= 0:
        return Done()
    if "until" not in step.cursor:
        seconds = random.uniform(shortest, longest)
        until = task.now() + datetime.timedelta(seconds=seconds)
        task.note(step, until=until.isoformat())
    left = datetime.datetime.fromisoformat(step.cursor["until"]) - task.now()
    return Done() if left.total_seconds() <= 0 else Again(left.total_seconds())


_INVENTORY = {
    "interfaces": [
        {
            "name": "eth0",
            "mac_address": "00:00:5e:00:53:01",
            "has_carrier": True,
            "speed_mbps": 1000,
        }
    ],
    "cpu": {"model_name": "Fake", "frequency": "2000", "count": 2, "architecture": "x86_64"},
    "disks": [{"name": "/dev/sda", "model": "Fake", "size": 10 * 2**30, "rotational": False}],
    "memory": {"total": 4 * 2**30, "physical_mb": 4096},
    "system_vendor": {"product_name": "Fake", "serial_number": "0", "manufacturer": "Fake"},
    "boot": {"current_boot_mode": "uefi", "pxe_interface": "00:00:5e:00:53:01"},
    "hostname": "fake",
}
