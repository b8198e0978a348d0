"""The conductor's own steps, a file per theme.

``CONDUCTOR_STEPS`` are those that plans consist of, ``RESERVED_STEPS`` those that
operators name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor.steps import (
    agentsteps,
    inspection,
    instance,
    power,
    ramdisk,
    reserved,
    rules,
    volume,
)
from conductor.steps.agentsteps import agent_step, runs_on_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from conductor.drivers.base import StepFunction
    from conductor.outcomes import Done
    from conductor.task import Task
    from drophammer.model import Step

CONDUCTOR_STEPS: dict[str, StepFunction] = {
    "verify_power": power.verify_power,
    "change_power": power.change_power,
    "boot_ramdisk": ramdisk.boot_ramdisk,
    "leave_ramdisk": ramdisk.leave_ramdisk,
    "plan_agent_steps": agentsteps.plan_agent_steps,
    "refuse_cleaning": agentsteps.refuse_cleaning,
    "confirm_erasure": agentsteps.confirm_erasure,
    "join_agent_steps": agentsteps.join_agent_steps,
    "check_agent_steps": agentsteps.check_agent_steps,
    "meet_agent_again": agentsteps.meet_agent_again,
    "await_inventory": inspection.await_inventory,
    "record_facts": inspection.record_facts,
    "apply_rules": rules.apply_rules,
    "check_image": instance.check_image,
    "tear_down_instance": instance.tear_down_instance,
    "begin_cleaning": instance.begin_cleaning,
    "adopt_instance": instance.adopt_instance,
    "restore_instance": instance.restore_instance,
    "boot_volume": volume.boot_volume,
}

ENDS_AT_ONCE: dict[str, Callable[[Task, Step], Done | None]] = {
    "begin_cleaning": instance.cleaning_begins,
}
"""Steps that do nothing but decide, asked when the one before them is done: both are journalled
in one transaction then. None: the step is to be visited."""

RESERVED_STEPS: dict[str, StepFunction] = {
    "power_on": reserved.power_on,
    "power_off": reserved.power_off,
    "reboot": reserved.reboot,
    "hold": reserved.hold,
    "wait": reserved.wait,
}

__all__ = ["CONDUCTOR_STEPS", "ENDS_AT_ONCE", "RESERVED_STEPS", "agent_step", "runs_on_agent"]
