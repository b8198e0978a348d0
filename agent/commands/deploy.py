"""``deploy.*``: which deploy steps there are, and running one."""

from __future__ import annotations

from agent import steps
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def get_deploy_steps(progress: Progress, node: object, ports: object) -> object:
        return steps.offered(steps.DEPLOY_STEPS, "deploy_steps")

    def execute_deploy_step(
        progress: Progress,
        step: object,
        node: object,
        ports: object,
        deploy_version: object = None,
    ) -> object:
        return steps.execute(
            steps.DEPLOY_STEPS, "deploy", context, progress, step, node, deploy_version
        )

    return [
        Command("deploy.get_deploy_steps", get_deploy_steps, required=("node", "ports"), sync=True),
        Command(
            "deploy.execute_deploy_step",
            execute_deploy_step,
            required=("step", "node", "ports"),
            optional=("deploy_version",),
        ),
    ]
