"""``poll.get_hardware_info``: the inventory on demand."""

from __future__ import annotations

from agent import bmc
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def get_hardware_info(progress: Progress) -> object:
        return context.machine.inventory(bmc.bmc_addresses())

    return [Command("poll.get_hardware_info", get_hardware_info, sync=True)]
