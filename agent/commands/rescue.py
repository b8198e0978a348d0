"""``rescue.finalize_rescue``: this ramdisk is the operator's from here on."""

from __future__ import annotations

from agent import rescue
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command, Then


def commands(context: Context) -> list[Command]:
    """The extension's command."""

    def finalize_rescue(
        progress: Progress, rescue_password: object, hashed: object = False
    ) -> object:
        told = rescue.let_in(rescue.check_hash(rescue_password, hashed), context.root)
        return Then(told, context.leave)

    return [
        Command(
            "rescue.finalize_rescue",
            finalize_rescue,
            required=("rescue_password",),
            optional=("hashed",),
            sync=True,
        )
    ]
