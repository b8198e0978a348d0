"""The machine's disk as an iSCSI target, by the kernel's own server (LIO) through configfs.

One target at a time, with the disk as LUN 0. Whoever knows its name may write: names are
not given out to those who only ask which there are. Documentation/target in Linux.
"""

from __future__ import annotations

import os
import re
import subprocess

from agent.console import say
from agent.errors import InvalidCommandParams, TargetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGFS = "/sys/kernel/config"
_MODULES = ("configfs", "target_core_mod", "target_core_iblock", "iscsi_target_mod")
_STORE = "target/core/iblock_0/disk0"
#: No passwords, any initiator, writable, and no list of names for who asks.
_OPEN = {
    "authentication": "0",
    "generate_node_acls": "1",
    "cache_dynamic_acls": "1",
    "demo_mode_write_protect": "0",
    "demo_mode_discovery": "0",
}
_IQN = re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(:[A-Za-z0-9._:-]+)?")
_LONGEST_IQN = 223


def check(iqn: object, port: object) -> tuple[str, int]:
    """A target's name and port as a conductor may give them. Raises InvalidCommandParams."""
    if not isinstance(iqn, str) or len(iqn) > _LONGEST_IQN or not _IQN.fullmatch(iqn):
        raise InvalidCommandParams("iqn must be an iSCSI name such as iqn.2026-01.org.example:name")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise InvalidCommandParams("portal_port must be a number from 1 to 65535")
    return iqn, port


def load_modules() -> None:
    """Bring the target server into the kernel; whether it is there shows in configfs."""
    subprocess.run(["modprobe", "-a", *_MODULES], capture_output=True, check=False)
    if not os.path.isdir(f"{CONFIGFS}/target"):
        command = ["mount", "-t", "configfs", "configfs", CONFIGFS]
        subprocess.run(command, capture_output=True, check=False)


class Lio:
    """The kernel's target server; ``root`` is where configfs is, once ``load`` was called."""

    def __init__(self, root: str = CONFIGFS, load: Callable[[], None] = load_modules) -> None:
        self._root, self._load = root, load

    def export(self, disk: str, iqn: str, port: int) -> None:
        """Offer ``disk`` as ``iqn`` on all addresses; another target ends. Raises TargetError."""
        self._prepare()
        self.withdraw()
        try:
            self._write(_STORE, "control", f"udev_path={disk}")
            self._write(_STORE, "enable", "1")
            group = f"target/iscsi/{iqn}/tpgt_1"
            self._make(f"{group}/lun/lun_0")
            os.symlink(self._path(_STORE), self._path(f"{group}/lun/lun_0/{iqn[-8:]}"))
            for name, value in _OPEN.items():
                self._write(f"{group}/attrib", name, value)
            self._listen(group, port)
            self._write(group, "enable", "1")
        except OSError as error:
            raise TargetError(
                f"{disk} cannot be made an iSCSI target: {error.strerror} at"
                f" {os.path.relpath(str(error.filename or ''), self._root)}"
            ) from error
        say(f"iscsi: {disk} is offered as {iqn}, port {port}")

    def withdraw(self) -> bool:
        """End the target, and every connection to it; False when there is none.

        Raises TargetError.
        """
        names = self._names("target/iscsi", "iqn.")
        try:
            for name in names:
                self._remove_target(f"target/iscsi/{name}")
            for folder in (_STORE, os.path.dirname(_STORE)):
                if os.path.isdir(self._path(folder)):
                    os.rmdir(self._path(folder))
        except OSError as error:
            raise TargetError(f"the iSCSI target cannot be ended: {error.strerror}") from error
        for name in names:
            say(f"iscsi: {name} is offered no more")
        return bool(names)

    def _prepare(self) -> None:
        self._load()
        try:
            self._make("target/iscsi")
        except OSError as error:
            raise TargetError(
                "this ramdisk has no iSCSI target (kernel modules target_core_mod and"
                f" iscsi_target_mod): {error.strerror}. Build it with iSCSI."
            ) from error

    def _listen(self, group: str, port: int) -> None:
        try:
            # Takes IPv4 connections, too.
            self._make(f"{group}/np/[::]:{port}")
        except OSError:
            self._make(f"{group}/np/0.0.0.0:{port}")

    def _remove_target(self, target: str) -> None:
        group = f"{target}/tpgt_1"
        self._write(group, "enable", "0")
        for name in self._names(f"{group}/np", ""):
            os.rmdir(self._path(f"{group}/np/{name}"))
        lun = f"{group}/lun/lun_0"
        for name in self._names(lun, ""):
            if os.path.islink(self._path(f"{lun}/{name}")):
                os.unlink(self._path(f"{lun}/{name}"))
        for folder in (lun, group, target):
            os.rmdir(self._path(folder))

    def _names(self, folder: str, prefix: str) -> list[str]:
        path = self._path(folder)
        if not os.path.isdir(path):
            return []
        return sorted(name for name in os.listdir(path) if name.startswith(prefix))

    def _make(self, folder: str) -> None:
        os.makedirs(self._path(folder), exist_ok=True)

    def _write(self, folder: str, name: str, value: str) -> None:
        self._make(folder)
        with open(self._path(f"{folder}/{name}"), "w") as file:
            file.write(value)

    def _path(self, inside: str) -> str:
        return os.path.join(self._root, inside)
