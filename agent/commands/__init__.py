"""The commands of this agent, a file per extension, and the one list of them."""

from __future__ import annotations

from agent.commands import image, iscsi, log, poll, rescue, standby, steps
from agent.context import Context
from agent.jobs import Command


def all_commands(context: Context) -> list[Command]:
    """Every command that the agent knows."""
    extensions = (standby, steps, image, iscsi, log, poll, rescue)
    return [command for extension in extensions for command in extension.commands(context)]
