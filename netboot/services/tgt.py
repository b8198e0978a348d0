"""The iSCSI targets of boot resources: told to tgtd by ``tgt-admin``, of a file that is written
elsewhere.

Nothing here starts tgtd; ``monitor/targets.py`` does. ``tgtimg`` and ``tgt-setup-lun``, which come
with it, are not needed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drophammer.errors import DrophammerError, Unavailable
from netboot.services.command import run

log = logging.getLogger(__name__)

PACKAGE = "tgt"
INCLUDE = Path("/etc/tgt/conf.d/drophammer.conf")
UP_SECONDS = 30.0
_ASK_SECONDS, _PAUSE_SECONDS = 5.0, 0.1


def as_root() -> list[str]:
    """What a tgtd of ours, and all that give it orders, are executed through.

    They insist on being root, for no other reason than to keep orders of other users out; as
    another user they are root of a user namespace of their own, which gives them nothing.
    """
    return [] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--"]


def include(root: Path) -> str:
    """What makes a tgtd of systemd's load the targets of ``root`` whenever it starts."""
    # With a pattern: of a plain name that is not there yet tgt-admin, and with it the unit, dies.
    return (
        "# Drophammer: the iSCSI targets of the current boot resources.\n"
        f"include {root}/current/drophammer.tg[t]\n"
    )


class TgtCommands:
    """``tgt-admin`` and ``tgtadm``. ``variables`` say which tgtd they speak to, ``through`` by what
    they are executed.
    """

    def __init__(
        self, variables: Mapping[str, str], seconds: float, through: Sequence[str] = ()
    ) -> None:
        self._variables = dict(variables)
        self._through = list(through)
        self._seconds = seconds
        # tgt-admin looks first what there is and then changes it.
        self._one = threading.Lock()

    def up(self) -> bool:
        """Whether tgtd takes orders. Raises Unavailable when tgtadm is not installed."""
        try:
            self._run(_ASK_SECONDS, "tgtadm", "--op", "show", "--mode", "sys")
        except Unavailable as error:
            if "not installed" in error.message:
                raise
            return False
        return True

    def update(self, conf: Path) -> None:
        """Make the targets those of ``conf``. Raises Unavailable with tgt-admin's words."""
        with self._one:
            self._run(self._seconds, "tgt-admin", "--conf", str(conf), "--update", "ALL")

    def _run(self, seconds: float, *argv: str) -> None:
        run(
            argv,
            seconds=seconds,
            package=PACKAGE,
            variables=self._variables,
            through=self._through,
        )


class Targets:
    """What an import calls when the images of this host may have changed.

    ``ready`` starts tgtd if need be: False when it is not there yet, and raises when it will not
    be. ``loaded`` is called when the targets are known; ``tell`` writes a warning.
    """

    def __init__(
        self,
        commands: TgtCommands,
        *,
        off: Callable[[], str],
        ready: Callable[[], bool],
        loaded: Callable[[], None],
        tell: Callable[[str], None],
        up_seconds: float = UP_SECONDS,
    ) -> None:
        self._commands = commands
        self._off = off
        self._ready = ready
        self._loaded = loaded
        self._tell = tell
        self._up_seconds = up_seconds

    def update(self, conf: Path) -> None:
        """Let tgtd serve what ``conf`` says. What goes wrong is an event: an import goes on."""
        why = self._off()
        if why or not conf.exists():
            log.info("iSCSI targets are left as they are: %s", why or f"there is no {conf}")
            return
        try:
            self._wait()
            self._commands.update(conf)
        except DrophammerError as error:
            self._tell(f"the iSCSI targets of {conf} are not served: {error.message}")
        else:
            self._loaded()

    def _wait(self) -> None:
        limit = time.monotonic() + self._up_seconds
        while not self._ready():
            if time.monotonic() > limit:
                raise Unavailable(f"tgtd did not take orders within {self._up_seconds:g} s")
            # It opens its socket at some moment, and tells nobody.
            time.sleep(_PAUSE_SECONDS)
