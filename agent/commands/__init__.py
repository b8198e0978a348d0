"""The commands of this agent, a file per extension, and the one list of them."""

from __future__ import annotations

from agent.commands import clean, deploy, image, log, poll, standby
from agent.context import Context
from agent.jobs import Command


def all_commands(context: Context) -> list[Command]:
    """Every command that the agent knows."""
    extensions = (standby, deploy, clean, image, log, poll)
    return [command for extension in extensions for command in extension.commands(context)]
