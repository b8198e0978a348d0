"""What commands need to know of the agent they run in: options, node, disks.

Made once after the look-up. Holds the only state that outlives a command: which
disk the image was written to.
"""

from __future__ import annotations

import threading

from agent.console import say
from agent.disks import choose_root, list_disks, root_hints_of
from agent.errors import DeviceNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.cmdline import Options
    from agent.disks import Disk
    from agent.hardware import Machine

    Json = dict[str, Any]


class Context:
    """The surroundings of the commands. ``off`` and ``restart`` end the machine's run.

    ``leave`` ends the agent's alone; ``root`` is where the ramdisk's own files are.
    """

    def __init__(
        self,
        options: Options,
        machine: Machine,
        node: Json,
        config: Json,
        *,
        off: Callable[[], None],
        restart: Callable[[], None],
        disks: Callable[[], list[Disk]] = list_disks,
        leave: Callable[[], None] = lambda: None,
        root: str = "/",
    ) -> None:
        self.options, self.machine, self.node, self.config = options, machine, node, config
        self.off, self.restart, self.disks = off, restart, disks
        self.leave, self.root = leave, root
        self.written_disk = ""

    @property
    def md5_allowed(self) -> bool:
        """Whether the conductor lets images be verified by MD5."""
        return self.config.get("agent_md5_checksum_enable", True) is not False

    def root_disk(self, node: Json | None = None) -> Disk:
        """The disk to install on; waits for slow controllers. Raises DeviceNotFound."""
        wanted = root_hints_of(node or self.node)
        attempts = max(1, self.options.disk_wait_attempts)
        for left in reversed(range(attempts)):
            try:
                return choose_root(self.disks(), wanted)
            except DeviceNotFound as error:
                if not left:
                    raise
                say(f"disks: {error.message}; looking again")
                threading.Event().wait(self.options.disk_wait_delay)
        raise AssertionError("unreachable")

    def installed_disk(self) -> str:
        """The path of the disk that holds the image, or else will hold it."""
        return self.written_disk or str(self.root_disk()["name"])
