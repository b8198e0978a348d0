"""Fake deployment, inspection and rescue: they consist of waiting."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.drivers.base import Deploy, Inspect, Rescue, StepFunction
from conductor.drivers.fake.acting import Fake, pause
from conductor.outcomes import Done, Outcome
from conductor.steps.power import switch
from drophammer import inventories
from drophammer.errors import BmcUnreachable
from drophammer.model import Node, Step
from drophammer.operations import ALL_DISKS, ROOT_DEVICE, StepSpec

if TYPE_CHECKING:
    from conductor.task import Task


class FakeDeploy(Fake, Deploy):
    """A deployment takes as long as the fake storage, boot and deploy interfaces together."""

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        return {
            "clean": [
                StepSpec(
                    "deploy", "erase_devices_metadata", 99, abortable=True, destroys=ALL_DISKS
                ),
                StepSpec("deploy", "erase_devices", abortable=True, destroys=ALL_DISKS),
            ],
            "deploy": [StepSpec("deploy", "deploy", 100, destroys=ROOT_DEVICE)],
        }.get(purpose, [])

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            "deploy": self._deploy,
            "erase_devices_metadata": self._erase,
            "erase_devices": self._erase,
        }

    def _deploy(self, task: Task, step: Step) -> Outcome:
        around = [k for k in ("storage", "boot") if isinstance(task.driver.interface(k), Fake)]
        return _then_on(task, step, *around, "deploy")

    def _erase(self, task: Task, step: Step) -> Outcome:
        return pause(task, step, "deploy")


class FakeRescue(Fake, Rescue):
    """Is in the rescue system, or back, after [fake] rescue_delay."""

    def rescue_steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("rescue", "rescue")]

    def unrescue_steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("rescue", "unrescue")]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"rescue": self._switch, "unrescue": self._switch}

    def _switch(self, task: Task, step: Step) -> Outcome:
        return _then_on(task, step, "rescue")


class FakeInspect(Fake, Inspect):
    """Finds a small machine."""

    def inspect_steps(self, node: Node) -> list[StepSpec]:
        return [StepSpec("inspect", "inspect")]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"inspect": self._inspect}

    def _inspect(self, task: Task, step: Step) -> Outcome:
        outcome = pause(task, step, "inspect")
        if not isinstance(outcome, Done):
            return outcome
        return Done(
            values={"properties": {**task.node.properties, "cpu_arch": "x86_64"}},
            along=lambda session: inventories.put(
                session, task.node.id, _INVENTORY, {}, task.now()
            ),
        )


def _then_on(task: Task, step: Step, *kinds: str) -> Outcome:
    """The delays of ``kinds``, and then the machine runs its system, by its own word."""
    if "on_sent" not in step.cursor:
        outcome = pause(task, step, *kinds)
        if not isinstance(outcome, Done):
            return outcome
        # Most are on as soon as they are told: then nothing needs to be journalled before.
        task.confirm()
        with contextlib.suppress(BmcUnreachable):
            task.driver.power.send(task.node, "on")
    return switch(task, step, "on")


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
