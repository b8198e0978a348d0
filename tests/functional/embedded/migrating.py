"""Changing a schema for tests: up to any revision, killed or stopped at any statement, compared."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, inspect

from drophammer import engines, schema
from tests.patience import PATIENCE

_FORKS = multiprocessing.get_context("forkserver")
# What a table consists of: its columns, and what there is besides, as sorted texts.
Shape = Mapping[str, Mapping[str, Any]]


class Migration:
    """``drophammer db upgrade`` in a process that something happens to at its ``at``-th statement.

    ``stops``: it stands still there until ``go_on``; else it is killed.
    """

    def __init__(self, url: str, at: int = 0, *, stops: bool = False) -> None:
        self._ours, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_migrate, args=(url, at, stops, theirs))
        self._process.start()
        theirs.close()

    def stopped(self) -> None:
        """Wait until it stands still."""
        assert self._ours.poll(PATIENCE)
        self._ours.recv()

    def go_on(self) -> None:
        self._ours.send(None)

    def still_runs_after(self, seconds: float) -> bool:
        self._process.join(seconds)
        return self._process.exitcode is None

    def end(self) -> int:
        """Its exit code: 0, or -9 when it was killed."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        assert code is not None
        self._process.close()
        self._ours.close()
        return code


def _migrate(url: str, at: int, stops: bool, pipe: Pipe) -> None:
    done = 0

    @event.listens_for(Engine, "after_cursor_execute")
    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if done != at:
            return
        if not stops:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(None)
        pipe.recv()

    schema.migrate(url)


def statements(url: str) -> int:
    """How many statements it takes to bring this database up to date; it is so afterwards."""
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1

    event.listen(Engine, "after_cursor_execute", count)
    try:
        schema.migrate(url)
    finally:
        event.remove(Engine, "after_cursor_execute", count)
    return done


def config(scripts: Path = schema.MIGRATIONS) -> Config:
    """Alembic's, for a folder of revisions."""
    made = Config()
    made.set_main_option("script_location", str(scripts))
    return made


def revisions(scripts: Path = schema.MIGRATIONS) -> list[str]:
    """All of them, oldest first."""
    found = ScriptDirectory.from_config(config(scripts)).walk_revisions()
    return [script.revision for script in found][::-1]


def migrate_to(url: str, revision: str, scripts: Path = schema.MIGRATIONS) -> None:
    """Bring a database to a revision of those in a folder."""
    made = config(scripts)
    engine = engines.engine(url, migrating=True)
    try:
        writing = engine.execution_options(drophammer_begin="BEGIN IMMEDIATE")
        with writing.connect() as connection:
            made.attributes["connection"] = connection
            command.upgrade(made, revision)
            connection.commit()
    finally:
        engine.dispose()


def shape(url: str) -> Shape:
    """What tables there are and what they consist of."""
    engine = create_engine(engines.engine(url).url)
    try:
        seen = inspect(engine)
        return {
            table: {
                "columns": {column["name"]: column for column in _columns(seen, table)},
                "key": seen.get_pk_constraint(table)["constrained_columns"],
                "unique": sorted(
                    str(sorted(one["column_names"])) for one in seen.get_unique_constraints(table)
                ),
                "indexes": sorted(
                    f"{one['name']} {one['column_names']} {one['unique']}"
                    for one in seen.get_indexes(table)
                ),
                "references": sorted(
                    f"{one['constrained_columns']} {one['referred_table']} {one['options']}"
                    for one in seen.get_foreign_keys(table)
                ),
                "checks": sorted(str(one["sqltext"]) for one in seen.get_check_constraints(table)),
            }
            for table in sorted(seen.get_table_names())
        }
    finally:
        engine.dispose()


def _columns(seen: Any, table: str) -> list[dict[str, Any]]:
    return [
        {name: str(column.get(name)) for name in ("name", "type", "nullable", "default")}
        for column in seen.get_columns(table)
    ]


def narrowed(before: Shape, after: Shape) -> list[str]:
    """What of ``after`` would stop code that knows ``before``; empty when nothing would."""
    wrong = [f"{table} is gone" for table in before if table not in after]
    for table, was in before.items():
        if table in after:
            wrong += [f"{table}: {what}" for what in _narrowed(was, after[table])]
    return wrong


def _narrowed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    wrong = [
        f"{name} is gone or not what it was"
        for name, column in was["columns"].items()
        if now["columns"].get(name) != column
    ]
    wrong += [
        f"{name} is new, and must be given"
        for name, column in now["columns"].items()
        if name not in was["columns"]
        and (column["nullable"], column["default"]) == ("False", "None")
    ]
    # Of the columns that were there; those that are new may have rules.
    for what in ("unique", "references", "checks"):
        wrong += [
            f"{what} {rule} is new"
            for rule in now[what]
            if rule not in was[what] and any(name in rule for name in was["columns"])
        ]
    return wrong
