"""``clean.*``: which clean steps there are, and running one."""

from __future__ import annotations

from agent import steps
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def get_clean_steps(progress: Progress, node: object, ports: object) -> object:
        return steps.offered(steps.CLEAN_STEPS, "clean_steps")

    def execute_clean_step(
        progress: Progress,
        step: object,
        node: object,
        ports: object,
        clean_version: object = None,
    ) -> object:
        return steps.execute(
            steps.CLEAN_STEPS, "clean", context, progress, step, node, clean_version
        )

    return [
        Command("clean.get_clean_steps", get_clean_steps, required=("node", "ports"), sync=True),
        Command(
            "clean.execute_clean_step",
            execute_clean_step,
            required=("step", "node", "ports"),
            optional=("clean_version",),
        ),
    ]
