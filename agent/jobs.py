"""Runs the conductor's commands, one at a time, and keeps their results.

Knows commands only as functions with declared parameters; HTTP is
``server.py``'s matter and the commands themselves live in ``commands/``.
"""

from __future__ import annotations

import os
import threading

from agent.console import say
from agent.errors import (
    AgentBusy,
    AgentError,
    ExtensionNotFound,
    InvalidCommand,
    InvalidCommandParams,
    NotFound,
    VersionMismatch,
)
from agent.imagewriter import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
CLEAN_VERSION_MISMATCH = "CLEAN_VERSION_MISMATCH"
_REPLY_WAIT_SECONDS = 5.0


class Command:
    """A command: ``run(progress, **params)``; ``name`` is "extension.command"."""

    def __init__(
        self,
        name: str,
        run: Callable[..., object],
        *,
        required: tuple[str, ...] = (),
        optional: tuple[str, ...] = (),
        sync: bool = False,
    ) -> None:
        self.name, self.run, self.sync = name, run, sync
        self.required, self.optional = required, optional

    @property
    def extension(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]

    def check_params(self, params: Json) -> None:
        """Raise InvalidCommandParams, naming what is missing or unknown."""
        missing = [name for name in self.required if name not in params]
        unknown = [name for name in params if name not in (*self.required, *self.optional)]
        if missing:
            raise InvalidCommandParams(f"{self.name} lacks the parameters {', '.join(missing)}")
        if unknown:
            raise InvalidCommandParams(f"{self.name} takes no parameters {', '.join(unknown)}")


class Then:
    """A result with something to do after the conductor has had its answer (power off)."""

    def __init__(self, result: object, action: Callable[[], None]) -> None:
        self.result, self.action = result, action


class Job:
    """One command that was started. Its fields are what goes on the wire."""

    def __init__(self, command: Command) -> None:
        self.id = _uuid4()
        self.command = command
        self.status = RUNNING
        self.error: Json | None = None
        self.result: Json | None = None
        self.progress = Progress()
        self.ended = threading.Event()
        self.replied = threading.Event()

    def as_wire(self) -> Json:
        """The command result object."""
        return {
            "id": self.id,
            "command_name": self.command.name.partition(".")[2],
            "command_status": self.status,
            "command_error": self.error,
            "command_result": self.result,
        }


class Jobs:
    """The commands this agent knows, and those that were started, oldest first.

    ``on_start`` and ``on_end`` are called when an asynchronous one begins and ends.
    """

    def __init__(
        self,
        commands: list[Command],
        on_end: Callable[[], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._commands = {command.name: command for command in commands}
        self._extensions = {command.extension for command in commands}
        self._on_end, self._on_start = on_end, on_start
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._latest: Job | None = None

    def all(self) -> list[Job]:
        """Every job since the start, in order of execution."""
        with self._lock:
            return list(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """One job. Raises NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"there is no command with the id {job_id!r}")
        return job

    def running(self) -> Job | None:
        """The job under way, if any."""
        with self._lock:
            job = self._latest
        return job if job and job.status == RUNNING else None

    def start(self, name: object, params: object) -> Job:
        """Start a command; a synchronous one has ended when this returns.

        Raises AgentBusy, ExtensionNotFound, InvalidCommand, InvalidCommandParams.
        """
        command = self._find(name)
        if not isinstance(params, dict):
            raise InvalidCommand("params must be an object")
        with self._lock:
            latest = self._latest
            if latest and latest.status == RUNNING:
                raise AgentBusy(f"Agent is busy executing {latest.command.name}")
            command.check_params(params)
            job = self._latest = Job(command)
            self._jobs[job.id] = job
        say(f"command: {command.name} begins")
        if command.sync:
            self._run(job, params)
        else:
            thread = threading.Thread(
                target=self._run, args=(job, params), name=command.name, daemon=True
            )
            thread.start()
            self._on_start()
        return job

    def _find(self, name: object) -> Command:
        if not isinstance(name, str) or not name.partition(".")[2]:
            raise InvalidCommand(f"the command name {name!r} is not of the form extension.command")
        extension = name.partition(".")[0]
        if extension not in self._extensions:
            raise ExtensionNotFound(f"this agent has no extension {extension!r}")
        command = self._commands.get(name)
        if command is None:
            raise InvalidCommand(f"the extension {extension!r} has no command {name!r}")
        return command

    def _run(self, job: Job, params: Json) -> None:
        action = None
        try:
            result = job.command.run(job.progress, **params)
            if isinstance(result, Then):
                action, result = result.action, result.result
            job.result = _wrapped(job.command, result)
            status = SUCCEEDED
        except InvalidCommandParams as error:
            job.error, status = error.as_wire(), FAILED
            self._end(job, status)
            if job.command.sync:
                self._forget(job)
                raise
            return
        except VersionMismatch as error:
            job.error, status = error.as_wire(), CLEAN_VERSION_MISMATCH
        except AgentError as error:
            job.error, status = error.as_wire(), FAILED
        except Exception as error:
            # The end of an operation: whatever broke must reach the conductor as a result.
            unexpected = AgentError(f"{type(error).__name__}: {error}")
            job.error, status = {**unexpected.as_wire(), "type": type(error).__name__}, FAILED
        self._end(job, status)
        if action:
            _after_reply(job, action)

    def _end(self, job: Job, status: str) -> None:
        job.status = status
        reason = f": {job.error['message']}" if job.error else ""
        say(f"command: {job.command.name} {status}{reason}")
        job.ended.set()
        if not job.command.sync:
            self._on_end()

    def _forget(self, job: Job) -> None:
        with self._lock:
            del self._jobs[job.id]


def _after_reply(job: Job, action: Callable[[], None]) -> None:
    def wait_and_act() -> None:
        job.replied.wait(_REPLY_WAIT_SECONDS)
        action()

    threading.Thread(target=wait_and_act, name="after-reply", daemon=True).start()


def _wrapped(command: Command, result: object) -> Json:
    if isinstance(result, dict):
        return result
    if command.sync:
        return {"result": result}
    return {"result": f"{command.name.partition('.')[2]}: {result}"}


def _uuid4() -> str:
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
