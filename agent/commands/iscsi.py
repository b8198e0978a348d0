"""``iscsi.*``: the root disk as an iSCSI target, for a conductor that writes the image itself."""

from __future__ import annotations

from agent import configdrive as drives
from agent import erase, lio
from agent.blockdev import BlockTarget
from agent.context import Context
from agent.errors import InvalidCommandParams
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context, server: lio.Lio | None = None) -> list[Command]:
    """The extension's commands; ``server`` is the kernel's unless a test has another."""
    kernel = server or lio.Lio()

    def start_iscsi_target(
        progress: Progress,
        iqn: object,
        portal_port: object = 3260,
        wipe_disk_metadata: object = False,
    ) -> object:
        name, port = lio.check(iqn, 3260 if portal_port is None else portal_port)
        disk = context.root_disk()
        # Of a target that another conductor was writing to, if it is there.
        kernel.withdraw()
        if wipe_disk_metadata:
            erase.erase_metadata(disk, skip_read_only=False)
        kernel.export(str(disk["name"]), name, port)
        return {"iscsi_target_iqn": name}

    def stop_iscsi_target(progress: Progress, configdrive: object = None) -> object:
        """Ours: the disk is the agent's again, with the config drive on it."""
        if configdrive is not None and not isinstance(configdrive, str):
            raise InvalidCommandParams("configdrive must be a text: a URL or base64")
        image = drives.load(configdrive, context.options) if configdrive else b""
        kernel.withdraw()
        context.written_disk = str(context.root_disk()["name"])
        with BlockTarget(context.written_disk) as target:
            target.flush()
            target.reread_partitions()
            told = drives.write(target, image) if image else "no config drive"
        return f"the disk {context.written_disk} was written over iSCSI; {told}"

    return [
        Command(
            "iscsi.start_iscsi_target",
            start_iscsi_target,
            required=("iqn",),
            optional=("portal_port", "wipe_disk_metadata"),
            sync=True,
        ),
        Command("iscsi.stop_iscsi_target", stop_iscsi_target, optional=("configdrive",), sync=True),
    ]
