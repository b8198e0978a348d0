"""Time and iSCSI targets: which program does it, and who runs that, by the configuration."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drophammer.netns import Namespace
from netboot.binding import host
from netboot.monitor.child import Child
from netboot.monitor.daemons import Daemon, Elsewhere
from netboot.monitor.outside import OutsideService
from netboot.monitor.ports import Door, require
from netboot.monitor.service import ANY, CHILD, NOBODY, OFF, ON, SYSTEMD, Expected
from netboot.monitor.systemd import Systemctl, Unit
from netboot.monitor.targets import TgtService
from netboot.services import ntp, tgt
from netboot.services.ntp import NtpFiles
from netboot.services.process import nothing
from netboot.services.tgt import TgtCommands
from netboot.settings import Settings

AUTO = "auto"
_LONGEST_FOLDER = 80
"""The path of a Unix socket has at most 107 bytes, and tgt adds some of its own."""


@dataclass(frozen=True)
class Host:
    """What the programs of one host share. ``tell`` writes a warning as an event."""

    settings: Settings
    namespace: Namespace
    systemctl: Systemctl
    tell: Callable[[str], None]

    @property
    def manager(self) -> str:
        """Who runs programs here: a unit cannot be put into a network namespace of ours, and takes
        orders and configuration of root only.
        """
        asked = self.settings.service_manager
        if asked != AUTO:
            return asked
        ours = self.namespace.name or os.geteuid() != 0 or self.systemctl.trouble()
        return CHILD if ours else SYSTEMD


def ntp_service(on: Host) -> OutsideService:
    """The NTP server of the provisioning network."""
    settings, address = on.settings.ntp, on.settings.address
    folder = on.settings.state_dir / "ntp"
    files = NtpFiles(settings, address)
    doors = [Door("udp", settings.port, address)]
    manager = NOBODY if settings.managed_by and on.manager == CHILD else on.manager
    write = files.write_for_unit if manager == SYSTEMD else lambda: files.write_for_child(folder)
    daemon = _daemon(on, manager, "ntp", doors, settings.unit, ntp.PACKAGE)
    if daemon is None:
        daemon = Child(
            settings.program,
            on.namespace.command(files.argv(folder)),
            package=ntp.PACKAGE,
            again=lambda: _once_more("ntp", doors, on, write),
        )
    return OutsideService(
        "ntp",
        daemon,
        _expected_ntp(on, manager),
        doors=doors,
        namespace=on.namespace,
        loggers=("netboot.services.ntp", "netboot.monitor.child.chronyd"),
        prepare=write,
    )


def tgt_service(on: Host) -> TgtService:
    """The iSCSI targets of boot resources."""
    settings = on.settings.tgt
    folder = _socket_folder(on.settings.state_dir)
    door = Door("tcp", settings.port, on.settings.address)
    daemon = _daemon(on, on.manager, "tgt", [door], settings.unit, tgt.PACKAGE)
    ipc = str(folder / "tgtd.sock")
    variables = {} if daemon is not None else {"TGT_IPC_SOCKET": ipc}
    through = tgt.as_root() if variables else []
    if daemon is None:
        portal = f"portal={host(on.settings.address)}:{settings.port}"
        daemon = Child(
            "tgtd",
            on.namespace.command([*through, "tgtd", "-f", "--iscsi", portal]),
            package=tgt.PACKAGE,
            # It takes no notice of SIGTERM, and has nothing to tidy up: targets are read-only.
            end_signal=signal.SIGKILL,
            again=lambda: _once_more("tgt", [door], on),
            variables=variables,
        )
    return TgtService(
        daemon,
        _expected_tgt(on),
        commands=TgtCommands(variables, settings.command_timeout, through),
        conf=lambda: on.settings.resources.root / "current" / "drophammer.tgt",
        tell=on.tell,
        doors=[door],
        namespace=on.namespace,
        folder=folder if variables else None,
    )


def _daemon(
    on: Host, manager: str, name: str, doors: list[Door], unit: str, package: str
) -> Daemon | None:
    """Who has it run; None when it is to be our child."""
    if manager == SYSTEMD:
        return Unit(unit, on.systemctl, package=package)
    return Elsewhere(name, doors, on.namespace) if manager == NOBODY else None


def _once_more(
    name: str, doors: list[Door], on: Host, prepare: Callable[[], None] = nothing
) -> None:
    """See that a child finds its files and ports when it is started again."""
    prepare()
    require(name, doors, on.namespace)


def _expected_ntp(on: Host, manager: str) -> Expected:
    settings = on.settings.ntp
    if settings.managed_by:
        return Expected(ANY, f"managed elsewhere: {settings.managed_by}")
    if manager == NOBODY:
        return Expected(ANY, "managed elsewhere: [netboot] service_manager is none")
    if settings.enabled:
        return Expected(ON, "[ntp] enabled is true")
    return _switched_off("[ntp] enabled is false", manager)


def _expected_tgt(on: Host) -> Expected:
    if on.manager == NOBODY:
        return Expected(ANY, "managed elsewhere: [netboot] service_manager is none")
    if not on.settings.tgt.enabled:
        return _switched_off("[tgt] enabled is false", on.manager)
    if on.settings.address.is_loopback:
        return _switched_off(
            f"[netboot] address {on.settings.address} is one that no machine reaches", on.manager
        )
    return Expected(ON, "always on: machines boot from iSCSI targets")


def _switched_off(why: str, manager: str) -> Expected:
    if manager == SYSTEMD:
        # The unit may serve somebody else on this host.
        return Expected(ANY, f"{why}; the unit is left as it is")
    return Expected(OFF, why)


def _socket_folder(state_dir: Path) -> Path:
    """Where tgtd is spoken to: in the state folder, unless that is too far down for sockets."""
    folder = state_dir / "tgt"
    if len(str(folder)) <= _LONGEST_FOLDER:
        return folder
    return Path("/run", f"drophammer-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}")
