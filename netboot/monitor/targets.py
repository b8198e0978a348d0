"""tgt as a service of this host: a tgtd that comes back has its targets again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from drophammer.errors import DrophammerError, Unavailable
from drophammer.netns import Namespace
from netboot.monitor.daemons import Daemon
from netboot.monitor.outside import OutsideService
from netboot.monitor.ports import Door
from netboot.monitor.service import CHILD, OFF, ON, RUNNING, STARTING, Actual, Expected
from netboot.services.tgt import Targets, TgtCommands


class TgtService(OutsideService):
    """A ``Managed``. ``conf`` tells the file of targets, when there is one; ``folder`` is where the
    socket of a child is.

    A unit of systemd loads them itself, by the include in /etc/tgt/conf.d.
    """

    def __init__(
        self,
        daemon: Daemon,
        expected: Expected,
        *,
        commands: TgtCommands,
        conf: Callable[[], Path],
        tell: Callable[[str], None],
        doors: Sequence[Door],
        namespace: Namespace,
        folder: Path | None,
    ) -> None:
        super().__init__(
            "tgt",
            daemon,
            expected,
            doors=doors,
            namespace=namespace,
            loggers=("netboot.services.tgt", "netboot.monitor.child.tgtd"),
            prepare=self._make_folder,
        )
        self._commands = commands
        self._conf = conf
        self._folder = folder
        self._served: int | None = None
        self._trouble = ""
        self.targets = Targets(
            commands, off=self._why_off, ready=self._ready, loaded=self._loaded, tell=tell
        )

    def actual(self) -> Actual:
        have = super().actual()
        if have.state != RUNNING or not self._is_empty(have):
            return have
        if self._trouble:
            return Actual(RUNNING, f"without its targets: {self._trouble}", have.pid)
        return Actual(STARTING, "its targets are not loaded yet", have.pid)

    def ensure(self) -> None:
        super().ensure()
        have = self._daemon.actual()
        if self.expected().state == ON and have.state == RUNNING and self._is_empty(have):
            self._load(have)

    def stop(self) -> None:
        super().stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_folder(self) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The folder {self._folder} of tgt cannot be made: {error.strerror}"
            ) from error

    def _is_empty(self, have: Actual) -> bool:
        """A child that has just begun knows no targets."""
        return self._daemon.managed_by == CHILD and have.pid != self._served

    def _load(self, have: Actual) -> None:
        try:
            if not self._commands.up():
                return
            conf = self._conf()
            if conf.exists():
                self._commands.update(conf)
        except DrophammerError as error:
            self._trouble = error.message
            raise
        self._served, self._trouble = have.pid, ""

    # For Targets

    def _why_off(self) -> str:
        want = self.expected()
        return want.reason if want.state == OFF else ""

    def _ready(self) -> bool:
        if self.expected().state == ON:
            OutsideService.ensure(self)
        return self._commands.up()

    def _loaded(self) -> None:
        self._served, self._trouble = self._daemon.actual().pid, ""
