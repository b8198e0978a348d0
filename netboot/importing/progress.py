"""How far the import is: a status file for everybody, an event now and then.

The file is written as each fetch begins and once a second, events are told every ten
seconds while files are fetched. Neither may ever make an import fail.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drophammer.clock import Clock
from drophammer.processes import Process
from netboot.importing.report import Report
from netboot.resources import durable

log = logging.getLogger(__name__)

NAME = ".import"
WRITE_SECONDS, TELL_SECONDS = 1.0, 10.0
NEVER, RUNNING, DONE, FAILED, INTERRUPTED = "never", "running", "done", "failed", "interrupted"

Tell = Callable[[str, dict[str, Any]], None]
"""Is told what happened, as a line for people and as data for programs."""


class Progress:
    """The progress of one run."""

    def __init__(
        self, root: Path, clock: Clock, tell: Tell, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = root / NAME
        self._clock = clock
        self._tell = tell
        self._timer = timer
        self._began = self._written = self._told = timer()
        self._status = {
            **_NOTHING,
            "state": RUNNING,
            "process": str(Process.own() or ""),
            "started_at": clock.now().isoformat(),
            "message": "looking for what is new",
        }

    def begin(self) -> None:
        """The run holds the lock."""
        self._write()

    def expect(self, files: int, size: int) -> None:
        """How much there is to fetch."""
        self._status.update(files_total=files, bytes_total=size)

    def fetching(self, path: str) -> None:
        """The next file: if its mirror says nothing more, it is seen which one that is."""
        self._status.update(file=path, message=f"fetching {path}")
        self._written = -math.inf
        self._pass_on()

    def wrote(self, size: int) -> None:
        """So many more bytes have arrived."""
        self._status["bytes"] += size
        self._pass_on()

    def fetched(self) -> None:
        """The file is there."""
        self._status["files"] += 1

    def end(self, report: Report) -> None:
        """The run is over, for better or worse."""
        # Nothing new, each hour, is no news.
        news = report.changed or bool(report.removed) or not report.ok
        self._over(DONE if report.ok else FAILED, str(report), report.as_dict(), news)

    def fail(self, message: str) -> None:
        """The run was given up."""
        self._over(FAILED, message, None, True)

    def _over(self, state: str, message: str, report: dict[str, Any] | None, news: bool) -> None:
        ended = self._clock.now().isoformat()
        self._status.update(
            state=state, finished_at=ended, file=None, message=message, report=report
        )
        self._write()
        log.log(logging.INFO if state == DONE else logging.WARNING, "import: %s", message)
        if news:
            self._tell(f"import {state}: {message}", self._data())

    def _pass_on(self) -> None:
        now = self._timer()
        seconds = max(now - self._began, 0.001)
        self._status["bytes_per_second"] = round(self._status["bytes"] / seconds)
        if now - self._written >= WRITE_SECONDS:
            self._written = now
            self._write()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._tell(_line(self._status), self._data())

    def _data(self) -> dict[str, Any]:
        return {name: value for name, value in self._status.items() if name != "process"}

    def _write(self) -> None:
        text = json.dumps(self._status) + "\n"
        try:
            durable.write(self._path, text, safe=False)
        except OSError as error:
            log.warning("the status file %s was not written anew: %s", self._path, error)
            _write_over(self._path, text)


def _write_over(path: Path, text: str) -> None:
    """Use the room that the file has: on a full disk, too, a run that is over says so."""
    with contextlib.suppress(OSError), path.open("r+", encoding="utf-8") as file:
        file.write(text)
        file.truncate()


def status(root: Path) -> dict[str, Any]:
    """The last known state of imports, by whichever process."""
    try:
        told: dict[str, Any] = json.loads((root / NAME).read_bytes())
        process = Process.parse(told.pop("process"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return dict(_NOTHING)
    if told["state"] == RUNNING and process is not None and process.is_gone(Process.own()):
        told.update(state=INTERRUPTED, message="the process that imported was ended")
    return {**_NOTHING, **told}


_NOTHING: dict[str, Any] = {
    "state": NEVER,
    "message": "there was no import yet",
    "started_at": None,
    "finished_at": None,
    "file": None,
    "files": 0,
    "files_total": 0,
    "bytes": 0,
    "bytes_total": 0,
    "bytes_per_second": 0,
    "report": None,
}


def _line(status: dict[str, Any]) -> str:
    return (
        f"import: {status['file']}, {status['bytes'] / 1e6:.1f} of "
        f"{status['bytes_total'] / 1e6:.1f} MB, {status['bytes_per_second'] / 1e6:.1f} MB/s"
    )
