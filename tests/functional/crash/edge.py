"""A conductor's edge: what it says to controllers, agents and netboot, and what they answer.

All of it goes through the conductor's ``hand``, which stops it for ever where it is to die.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conductor.agentclient import Result
from conductor.drivers.base import HardwareType, Management, Power, StepFunction
from conductor.drivers.raid import ConfiguredRaid
from conductor.drivers.table import hardware_types
from conductor.once import cannot_tell, once
from conductor.outcomes import Done, Outcome
from drophammer.model import Agent, Node, Step
from drophammer.operations import StepSpec
from tests.functional.crash.world import World


class Agents:
    """In place of the HTTP client of agents."""

    def __init__(self, world: World, hand: Any) -> None:
        self._world, self._hand = world, hand

    def run(self, agent: Agent, name: str, params: Mapping[str, Any], **_: Any) -> Result:
        self._hand.boundary(f"agent {name}")
        return self._world.run(name, params)

    def commands(self, agent: Agent) -> list[Result]:
        self._hand.alive()
        return self._world.commands()


class Netboot:
    """In place of the network boot service."""

    def __init__(self, hand: Any) -> None:
        self._hand = hand

    def prepare(self, node_id: int) -> None:
        self._hand.boundary("netboot")


def world_type(world: World, hand: Any) -> HardwareType:
    """The hardware type whose controllers are in ``world``."""

    class WorldPower(Power):
        def state(self, node: Node) -> str:
            hand.alive()
            return "power on" if world.is_on() else "power off"

        def send(self, node: Node, action: str) -> None:
            hand.boundary(f"power {action}")
            world.power(action)

    class WorldManagement(Management):
        devices = ("pxe", "disk")

        def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
            hand.alive()
            return world.boot_device or (None, None)

        def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
            hand.boundary(f"boot device {device}")
            world.boot_device = (device, persistent)

    class BlindRaid(ConfiguredRaid):
        """A controller that does what it is told and answers no questions."""

        def steps(self, node: Node, purpose: str) -> list[StepSpec]:
            return [
                StepSpec("raid", "create_configuration"),
                StepSpec("raid", "delete_configuration"),
            ]

        def functions(self) -> Mapping[str, StepFunction]:
            return {"create_configuration": self.change, "delete_configuration": self.change}

        def change(self, task: Any, step: Step) -> Outcome:
            once(
                task,
                step,
                f"{step.step.partition('_')[0]} its volumes",
                lambda: self.send(step),
                done=lambda: self.done(step),
            )
            return Done()

        def send(self, step: Step) -> None:
            hand.boundary(f"raid {step.step}")
            world.effects.append(f"raid:{step.step}")
            world.raid.append(step.step)

        def done(self, step: Step) -> bool | None:
            return cannot_tell()

    class TellingRaid(BlindRaid):
        """One that can be asked."""

        def done(self, step: Step) -> bool | None:
            hand.alive()
            return step.step in world.raid

    plain = hardware_types()["fake-hardware"].interfaces
    return HardwareType(
        "world",
        {
            **plain,
            "power": {"world": WorldPower},
            "management": {"world": WorldManagement},
            "raid": {"telling": TellingRaid, "blind": BlindRaid},
            "deploy": {"direct": plain["deploy"]["direct"], "ramdisk": plain["deploy"]["ramdisk"]},
            "boot": {"ipxe": plain["boot"]["ipxe"]},
            "inspect": {"agent": plain["inspect"]["agent"]},
            "rescue": {"agent": plain["rescue"]["agent"]},
        },
    )
