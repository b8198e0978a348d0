"""Backups as docs/production.md has them: made while work is done, restored, and worked on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from drophammer.store import Store
from tests import databases
from tests.functional.embedded.work import (
    add_nodes,
    ask,
    begin,
    check,
    much_at_work,
    take_no_time,
    take_time,
    until_done,
)
from tests.patience import until

PROGRAMS = {
    "sqlite": ("sqlite3",),
    "postgresql": ("pg_dump", "pg_restore"),
    "mariadb": ("mariadb-dump", "mariadb"),
    "mysql": ("mariadb-dump", "mariadb"),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "first.sqlite"
    databases.made(path)
    made = Store(databases.url_of(path))
    made.migrate()
    missing = [one for one in PROGRAMS[kind(databases.url_of(path))] if shutil.which(one) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    yield made
    made.close()


def kind(url: str) -> str:
    return make_url(url).get_backend_name()


@pytest.mark.waits
def test_a_backup_made_during_work_is_restored_and_all_work_ends(
    store: Store, serve: Any, config: Path, tmp_path: Path
) -> None:
    take_time(config)
    plain = config.read_text()
    first_url = databases.url_of(tmp_path / "first.sqlite")
    config.write_text(f"{plain}\n[database]\nconnection = {first_url}\n")
    nodes = add_nodes(store)
    first = serve("--no-netboot")
    first.until("Ctrl-C stops it.")
    for uuid, (verb, more, _) in nodes.items():
        begin(first.url, uuid, verb, more)
    back_up(first_url, tmp_path / "backup")
    assert much_at_work(store)
    first.stop(signal.SIGKILL)

    databases.made(tmp_path / "second.sqlite")
    second_url = databases.url_of(tmp_path / "second.sqlite")
    restore(tmp_path / "backup", second_url)
    config.write_text(f"{plain}\n[database]\nconnection = {second_url}\n")
    take_no_time(config)
    second = serve("--no-netboot")
    second.until("Ctrl-C stops it.")
    until_done(second.url, nodes)
    second.stop()
    restored = Store(second_url)
    check(restored)
    restored.close()


@pytest.mark.waits
def test_a_restored_node_can_be_kept_from_going_on_with_its_work(
    store: Store, serve: Any, config: Path, tmp_path: Path
) -> None:
    take_time(config)
    url = databases.url_of(tmp_path / "first.sqlite")
    config.write_text(f"{config.read_text()}\n[database]\nconnection = {url}\n")
    nodes = {uuid: work for uuid, work in add_nodes(store).items() if work[0] == "active"}
    going, *kept = nodes
    first = serve("--no-netboot")
    first.until("Ctrl-C stops it.")
    for uuid, (verb, more, _) in nodes.items():
        begin(first.url, uuid, verb, more)
    first.stop(signal.SIGKILL)
    listed = ", ".join(f"'{uuid}'" for uuid in kept)
    with store.write() as session:
        session.execute(
            text(f"UPDATE nodes SET conductor_group = 'held-back' WHERE uuid IN ({listed})")
        )
    take_no_time(config)
    second = serve("--no-netboot")
    second.until("Ctrl-C stops it.")
    until(lambda: state(second.url, going) == ("active", None), pause=0.1)
    # As old as the one that is done; nobody is at them.
    assert {state(second.url, uuid) for uuid in kept} == {("deploying", None)}
    second.stop()


def state(url: str, uuid: str) -> tuple[str, str | None]:
    node = ask(f"{url}/v1/nodes/{uuid}")
    return node["provision_state"], node["reservation"]


def back_up(url: str, file: Path) -> None:
    name = str(make_url(url).database)
    if kind(url) == "sqlite":
        run(url, "sqlite3", name, f".backup {file}")
    elif kind(url) == "postgresql":
        run(url, "pg_dump", "--format=custom", f"--file={file}", f"--dbname={libpq(url)}")
    else:
        dump = ("--single-transaction", "--skip-lock-tables", f"--result-file={file}")
        run(url, "mariadb-dump", *mariadb(url), *dump, name)


def restore(file: Path, url: str) -> None:
    name = str(make_url(url).database)
    if kind(url) == "sqlite":
        shutil.copyfile(file, name)
    elif kind(url) == "postgresql":
        options = ("--exit-on-error", "--single-transaction", "--no-owner")
        run(url, "pg_restore", *options, f"--dbname={libpq(url)}", str(file))
    else:
        run(url, "mariadb", *mariadb(url), "--database", name, f"--execute=source {file}")


def libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def mariadb(url: str) -> tuple[str, ...]:
    parts = make_url(url)
    return "--no-defaults", f"--host={parts.host}", f"--port={parts.port}", f"-u{parts.username}"


def run(url: str, *command: str) -> None:
    environment = {**os.environ, "MYSQL_PWD": make_url(url).password or ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
