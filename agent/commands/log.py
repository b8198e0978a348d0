"""``log.collect_system_logs``: what happened on this machine, as a tar.gz."""

from __future__ import annotations

from agent import logs
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def collect_system_logs(progress: Progress) -> object:
        return {"system_logs": logs.system_logs()}

    return [Command("log.collect_system_logs", collect_system_logs, sync=True)]
