"""A program outside of ours as a unit of systemd, by ``systemctl``: never through a shell.

Speaks to the program ``systemctl`` and nothing else; each call has an end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from drophammer.errors import DrophammerError, Unavailable
from netboot.monitor.service import (
    DEAD,
    OFF,
    RUNNING,
    STARTING,
    SYSTEMD,
    UNAVAILABLE,
    Actual,
)
from netboot.services.command import find, run

RUN_DIR = Path("/run/systemd/system")
"""There when systemd is process 1, as sd_booted(3) has it."""

ASK_SECONDS, DO_SECONDS = 5.0, 25.0
_PROPERTIES = "LoadState,ActiveState,SubState,Result,MainPID,ExecMainStatus"
_OPTIONS = ("--no-pager", "--no-ask-password")


class Systemctl:
    """The program, with time limits."""

    def __init__(
        self,
        run_dir: Path = RUN_DIR,
        *,
        ask_seconds: float = ASK_SECONDS,
        do_seconds: float = DO_SECONDS,
    ) -> None:
        self._run_dir = run_dir
        self._ask_seconds = ask_seconds
        self._do_seconds = do_seconds

    def trouble(self) -> str:
        """Why units cannot be managed on this host; empty when they can."""
        if not self._run_dir.is_dir():
            return f"systemd does not run on this host (there is no {self._run_dir})"
        if find("systemctl") is None:
            return "the program systemctl is not installed here"
        return ""

    def show(self, unit: str) -> dict[str, str]:
        """The properties of a unit that tell what it does. Raises Unavailable."""
        told = self._run(self._ask_seconds, "show", f"--property={_PROPERTIES}", "--", unit)
        pairs = (line.partition("=") for line in told.splitlines())
        return {name: value for name, _, value in pairs}

    def do(self, verb: str, unit: str) -> None:
        """Start, stop or restart a unit. Raises Unavailable with systemctl's words."""
        self._run(self._do_seconds, verb, "--", unit)

    def _run(self, seconds: float, *words: str) -> str:
        trouble = self.trouble()
        if trouble:
            raise Unavailable(trouble)
        return run(["systemctl", *_OPTIONS, *words], seconds=seconds, package="systemd")


class Unit:
    """A ``Daemon``. It stays when this process ends: systemd looks after it."""

    managed_by = SYSTEMD

    def __init__(self, unit: str, systemctl: Systemctl, *, package: str) -> None:
        self.unit = unit
        self._systemctl = systemctl
        self._package = package

    def watch(self, changed: Callable[[], None]) -> None:
        """Units are looked at: nobody tells when they change."""

    def actual(self) -> Actual:
        trouble = self._systemctl.trouble()
        if trouble:
            return Actual(UNAVAILABLE, f"cannot manage {self.unit}: {trouble}")
        try:
            return self._read(self._systemctl.show(self.unit))
        except DrophammerError as error:
            return Actual(UNAVAILABLE, f"cannot manage {self.unit}: {error.message}")

    def start(self) -> None:
        self._do("start")

    def stop(self) -> None:
        self._do("stop")

    def leave(self) -> None:
        """It goes on without us."""

    def _do(self, verb: str) -> None:
        have = self.actual()
        if have.state == UNAVAILABLE:
            raise Unavailable(f"{have.reason[:1].upper()}{have.reason[1:]}.")
        self._systemctl.do(verb, self.unit)

    def _read(self, told: Mapping[str, str]) -> Actual:
        loaded = told.get("LoadState", "")
        if loaded == "not-found":
            return Actual(
                UNAVAILABLE,
                f"systemd has no unit {self.unit}; install the package {self._package}",
            )
        if loaded == "masked":
            return Actual(
                UNAVAILABLE,
                f"the unit {self.unit} is masked; run `systemctl unmask {self.unit}`",
            )
        if loaded != "loaded":
            return Actual(DEAD, f"systemd could not load {self.unit}: {loaded or 'no answer'}")
        return _by_activity(told)


def _by_activity(told: Mapping[str, str]) -> Actual:
    active = told.get("ActiveState", "")
    number = told.get("MainPID", "")
    pid = int(number) if number.isdigit() and number != "0" else None
    if active in ("active", "reloading"):
        return Actual(RUNNING, told.get("SubState", ""), pid)
    if active == "activating" and told.get("SubState") != "auto-restart":
        return Actual(STARTING, told.get("SubState", ""), pid)
    if active == "inactive":
        return Actual(OFF, "inactive")
    result, code = told.get("Result", "unknown"), told.get("ExecMainStatus", "")
    return Actual(DEAD, f"{active or 'unknown'}: {result}{f', code {code}' if code else ''}", pid)
