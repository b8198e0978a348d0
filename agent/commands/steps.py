"""``deploy.*``, ``clean.*``, ``service.*``: which steps there are, and running one."""

from __future__ import annotations

from agent import steps
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The three extensions' commands; they differ in their words only."""
    return [command for kind in steps.OFFERED for command in _commands(context, kind)]


def _commands(context: Context, kind: str) -> list[Command]:
    def get_steps(progress: Progress, node: object, ports: object) -> object:
        return steps.offered(kind)

    def execute_step(
        progress: Progress, step: object, node: object, ports: object, **version: object
    ) -> object:
        return steps.execute(kind, context, progress, step, node, version.get(f"{kind}_version"))

    return [
        Command(f"{kind}.get_{kind}_steps", get_steps, required=("node", "ports"), sync=True),
        Command(
            f"{kind}.execute_{kind}_step",
            execute_step,
            required=("step", "node", "ports"),
            optional=(f"{kind}_version",),
        ),
    ]
