"""A store, a monitor over real services, programs that stand in for others, namespaces."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from drophammer import events, services
from drophammer.clock import FakeClock, SystemClock
from drophammer.events import EVERYTHING
from drophammer.model import Service
from drophammer.netns import Namespace
from drophammer.store import Store
from netboot.monitor.monitor import Monitor
from netboot.monitor.programs import Host
from netboot.monitor.service import Managed
from netboot.monitor.systemd import Systemctl
from netboot.options import GROUPS
from netboot.settings import Settings
from tests.databases import copied
from tests.patience import PATIENCE, until

SERIAL = itertools.count(1)


class Watch:
    """A monitor, and what it wrote."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.store = store
        self._options = options
        self.monitors: list[Monitor] = []

    def over(self, *found: Managed, **options: Any) -> Monitor:
        """A monitor of these services."""
        given = {"interval": 10 * PATIENCE, "first_pause": 0.05, "patience": PATIENCE}
        given |= {**self._options, **options}
        clock = given.pop("clock", None) or SystemClock()
        monitor = Monitor(found, self.store, clock, "rack-7", **given)
        self.monitors.append(monitor)
        return monitor

    def row(self, name: str) -> Service:
        with self.store.read() as session:
            return services.one(session, "rack-7", name)

    def told(self) -> list[str]:
        """The messages of all events, oldest first."""
        with self.store.ask() as connection:
            found = events.of_all(connection, after=0, until=10**9, wanted=EVERYTHING, limit=500)
        assert all(event.kind == "service" and event.node_id is None for event in found)
        return [event.message for event in found]

    def until(self, true: Callable[[], Any]) -> Any:
        """Wait for what another thread or process is about to do."""
        return until(true, self.told, pause=0.02)


@pytest.fixture
def watch(tmp_path: Path, empty_database: Path) -> Iterator[Watch]:
    store = copied(empty_database, tmp_path / "db.sqlite")
    made = Watch(store)
    yield made
    for monitor in made.monitors:
        monitor.stop()
    store.close()


@pytest.fixture
def still_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script in front of PATH; the file it returns gets a line of words per call."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        record = folder / f"{name}.calls"
        record.touch()
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "$@" >> {record}\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return record

    return put


@pytest.fixture
def only_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host on which nothing is installed."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    monkeypatch.setattr("netboot.services.process.ALSO_IN", "")
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings; options of other groups than [netboot] are given as "group.option"."""

    def make(**changes: Any) -> Settings:
        conf = cfg.ConfigOpts()
        for group, options in GROUPS:
            conf.register_opts(options, group=group)
        conf([], default_config_files=[], default_config_dirs=[])
        values = {
            "state_dir": str(tmp_path / "state"),
            "resources.root": str(tmp_path / "resources"),
        }
        for name, value in {**values, **changes}.items():
            group, _, option = name.rpartition(".")
            conf.set_override(option, value, group=group or "netboot")
        return Settings.from_conf(conf)

    return make


@pytest.fixture
def host(settings: Callable[..., Settings], tmp_path: Path) -> Callable[..., Host]:
    """A host; ``systemd`` says whether that runs there, and is given so long for an answer."""

    def make(
        *,
        systemd: bool = False,
        systemctl_seconds: float = PATIENCE,
        warnings: list[str] | None = None,
        **changes: Any,
    ) -> Host:
        run_dir = tmp_path / "run-systemd"
        if systemd:
            run_dir.mkdir(exist_ok=True)
        made = settings(**changes)
        kept = warnings if warnings is not None else []
        systemctl = Systemctl(run_dir, ask_seconds=systemctl_seconds, do_seconds=systemctl_seconds)
        return Host(made, Namespace(made.network_namespace), systemctl, kept.append)

    return make


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace with the address 172.22.0.1 on an interface of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces")
    name = f"nbmon{os.getpid()}{next(SERIAL)}"

    def ip(words: str, inside: str = "") -> None:
        subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)

    ip(f"netns add {name}")
    try:
        ip("link set lo up", name)
        ip("link add prov0 type bridge", name)
        ip("addr add 172.22.0.1/24 dev prov0", name)
        ip("link set prov0 up", name)
        yield name
    finally:
        ip(f"netns delete {name}")
