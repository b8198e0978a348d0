"""Making a virtual controller misbehave on purpose, while it runs.

The switches are a small JSON file in the machine's directory: whoever may
write there may turn them, and the controller looks before every packet.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from drophammer import errors
from lab import files

FILE = "faults.json"
LONGEST_DELAY = 600.0


@dataclasses.dataclass(frozen=True)
class Faults:
    """What is wrong with a controller; the default is nothing.

    ``silent``: answers nothing. ``delay``: seconds before each answer.
    ``refuse_power_on``: power on fails with completion code 0xD5.
    ``wrong_password``: no password is right.
    """

    silent: bool = False
    delay: float = 0.0
    refuse_power_on: bool = False
    wrong_password: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise errors.Invalid(f"the delay must be 0 to {LONGEST_DELAY:g} seconds")


class FaultFile:
    """The switches of one machine, read again whenever the file has changed."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._stamp: tuple[int, int] | None = None
        self._faults = Faults()

    def now(self) -> Faults:
        """The switches as they stand. An unreadable file counts as no fault."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._faults = None, Faults()
            return self._faults
        # Each write makes a new file, so the inode tells two writes of one instant apart.
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp != self._stamp:
            self._stamp, self._faults = stamp, _read(self._path)
        return self._faults


def write(directory: Path, faults: Faults) -> None:
    """Turn the switches of the machine in ``directory``, for all following packets."""
    files.write_whole(directory / FILE, json.dumps(dataclasses.asdict(faults)) + "\n")


def read(directory: Path) -> Faults:
    """The switches of the machine in ``directory``."""
    return FaultFile(directory).now()


def _read(path: Path) -> Faults:
    try:
        return Faults(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError, errors.Invalid):
        return Faults()
