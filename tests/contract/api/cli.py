"""python-ironicclient's command ``baremetal``, called in this process or as one of its own.

In this process it is the same function that the installed script calls, with the same
arguments and environment; that saves the second of imports of each call.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import pathlib
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest import mock

from cliff import display

from tests.contract.api.hasty import hurry
from tests.patience import PATIENCE

with warnings.catch_warnings():
    # It imports what its own libraries have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ironicclient.common.http
    import ironicclient.common.utils
    from ironicclient import client, shell

__all__ = ["WAIT", "Baremetal", "Complaint", "client"]

SCRIPT = pathlib.Path(sys.executable).with_name("baremetal")
WAIT = f"--wait {PATIENCE:.0f}"

hurry(ironicclient.common.http, ironicclient.common.utils)


class Complaint(Exception):
    """A command failed; the text is what it told its user."""


@dataclass(frozen=True)
class Baremetal:
    """Runs commands in an environment."""

    environment: dict[str, str]

    def __call__(self, line: str) -> Any:
        """What a command printed, decoded when it has a JSON form. Raises Complaint."""
        arguments = shlex.split(line)
        form = ["-f", "json"] if has_forms(arguments) else []
        with self._as_a_process_of_its_own(arguments + form) as (out, err):
            warnings.simplefilter("ignore")
            code = _run(arguments + form)
        return self._read(code, out.getvalue(), err.getvalue(), bool(form))

    def process(self, line: str) -> Any:
        """The same, by the installed script."""
        arguments = shlex.split(line)
        form = ["-f", "json"] if has_forms(arguments) else []
        done = subprocess.run(
            [str(SCRIPT), *arguments, *form],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return self._read(done.returncode, done.stdout, done.stderr, bool(form))

    @contextmanager
    def _as_a_process_of_its_own(
        self, arguments: list[str]
    ) -> Iterator[tuple[io.StringIO, io.StringIO]]:
        """Its arguments, environment, output and logging, as if nobody else were here."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "argv", [str(SCRIPT), *arguments]),
            warnings.catch_warnings(),
            redirect_stdout(out),
            redirect_stderr(err),
            _own_logging(),
        ):
            yield out, err

    def _read(self, code: int, out: str, err: str, form: bool) -> Any:
        if code:
            raise Complaint(err)
        if not form:
            return out
        found = json.loads(out)
        return [_named(row) for row in found] if isinstance(found, list) else _named(found)


def has_forms(arguments: list[str]) -> bool:
    """Whether a command's output has forms, like JSON: the others print nothing or text."""
    first = 0
    while arguments[first].startswith("--"):
        first += 2  # an option and its value
    found = _commands().find_command(arguments[first:])[0]
    return issubclass(found, display.DisplayCommandBase)


@functools.cache
def _commands() -> Any:
    return shell.CommandManager("openstack.baremetal.v1")


def _run(arguments: list[str]) -> int:
    try:
        return shell.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@contextmanager
def _own_logging() -> Iterator[None]:
    """Takes back what the client does to the process's logging."""
    names = ("", "openstack", "keystoneauth", "ironicclient", "stevedore", "cliff")
    loggers = [logging.getLogger(name) for name in names]
    kept = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    for one in loggers:
        one.handlers[:] = []
    try:
        yield
    finally:
        for one, handlers, level, propagate in kept:
            one.handlers[:], one.propagate = handlers, propagate
            one.setLevel(level)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Column titles are field names or labels of them, and differ between releases."""
    return {name.lower().replace(" ", "_"): value for name, value in row.items()}
