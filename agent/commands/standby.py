"""``standby.*``: write an image, flush, ids of partitions, power off, restart."""

from __future__ import annotations

import os

from agent import install
from agent.context import Context
from agent.imagewriter import Progress
from agent.jobs import Command, Then


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def prepare_image(progress: Progress, image_info: object, configdrive: object = None) -> object:
        progress.step = "prepare_image"
        return install.install_image(context, None, image_info, configdrive, progress)

    def power_off(progress: Progress) -> object:
        return Then("the machine is turned off", context.off)

    def run_image(progress: Progress) -> object:
        return Then("the machine is restarted", context.restart)

    def sync(progress: Progress) -> object:
        os.sync()
        return "all disks are in sync"

    def get_partition_uuids(progress: Progress) -> object:
        return install.partition_uuids(context.installed_disk())

    return [
        Command(
            "standby.prepare_image",
            prepare_image,
            required=("image_info",),
            optional=("configdrive",),
        ),
        Command("standby.power_off", power_off),
        Command("standby.run_image", run_image),
        Command("standby.sync", sync, sync=True),
        Command("standby.get_partition_uuids", get_partition_uuids, sync=True),
    ]
