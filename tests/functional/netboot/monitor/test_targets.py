"""iSCSI targets: tgtd for real in a network namespace; scripts where tgt-admin is to misbehave."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drophammer.netns import Namespace
from embedded.cli import main as services
from netboot.monitor.programs import tgt_service
from netboot.services.command import find, run
from netboot.services.tgt import Targets, TgtCommands, include
from tests.patience import AT_ONCE, PATIENCE, until

IQN = "iqn.2004-05.com.ubuntu:maas:ephemeral-ubuntu-arm64-xgene-uboot-mustang-trusty-daily"
needs_tgt = pytest.mark.skipif(
    os.geteuid() != 0 or find("tgtd") is None or shutil.which("iscsi-ls") is None,
    reason="needs root, tgt and libiscsi-bin",
)


def write_conf(root: Path, *names: str) -> Path:
    """A file of targets as the import writes it, in what is the current snapshot."""
    snapshot = root / "snapshot-20261121-101500"
    snapshot.mkdir(parents=True, exist_ok=True)
    image = snapshot / "squashfs"
    image.write_bytes(bytes(1 << 20))
    blocks = [
        f"<target {name}>\n    readonly 1\n    allow-in-use yes\n"
        f'    backing-store "{image}"\n    driver iscsi\n</target>\n'
        for name in names
    ]
    (snapshot / "drophammer.tgt").write_text("".join(blocks))
    if not (root / "current").exists():
        (root / "current").symlink_to(snapshot.name)
    return snapshot / "drophammer.tgt"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder near the root: paths of sockets must not be long."""
    with tempfile.TemporaryDirectory(prefix="tgt-") as name:
        yield Path(name)


def seen(namespace: str) -> str:
    """The targets that an initiator finds."""
    argv = Namespace(namespace).command(["iscsi-ls", "iscsi://172.22.0.1"])
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=PATIENCE, check=False
    ).stdout


@needs_tgt
@pytest.mark.seed("s2")
def test_targets_are_served_and_are_back_after_tgtd_was_killed(
    watch: Any, host: Any, namespace: str
) -> None:
    warnings: list[str] = []
    on = host(warnings=warnings, address="172.22.0.1", network_namespace=namespace)
    service = tgt_service(on)
    watch.over(service).start()
    # An import ends before tgtd is up: it is waited for.
    service.targets.update(write_conf(on.settings.resources.root, IQN))
    assert warnings == []
    assert f"Target:{IQN} Portal:172.22.0.1:3260,1" in seen(namespace)
    watch.until(lambda: any("tgt on rack-7 is running" in text for text in watch.told()))
    pid = service.actual().pid
    os.kill(pid, signal.SIGKILL)
    watch.until(lambda: service.actual().pid not in (None, pid))
    watch.until(lambda: service.actual().state == "running")
    assert IQN in seen(namespace)
    assert any("is dead: was killed by signal 9" in text for text in watch.told())


@needs_tgt
@pytest.mark.seed("s10")
def test_a_later_import_replaces_the_targets(watch: Any, host: Any, namespace: str) -> None:
    on = host(address="172.22.0.1", network_namespace=namespace)
    service = tgt_service(on)
    watch.over(service).start()
    service.targets.update(write_conf(on.settings.resources.root, f"{IQN}-1", f"{IQN}-2"))
    service.targets.update(write_conf(on.settings.resources.root, f"{IQN}-2", f"{IQN}-3"))
    found = seen(namespace)
    assert [f"{IQN}-{number} " in found for number in (1, 2, 3)] == [False, True, True]


@needs_tgt
def test_a_tgtd_of_somebody_elses_is_named(watch: Any, host: Any, namespace: str) -> None:
    on = host(address="172.22.0.1", network_namespace=namespace)
    with Namespace(namespace).socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("0.0.0.0", 3260))
        other.listen()
        watch.over(tgt_service(on)).look()
    row = watch.row("tgt")
    assert row.actual == "dead"
    assert f"(pid {os.getpid()}) has TCP port 3260" in row.reason


@needs_tgt
def test_a_tgtd_that_died_does_not_run_on_without_its_port(
    watch: Any, host: Any, namespace: str
) -> None:
    on = host(address="172.22.0.1", network_namespace=namespace)
    service = tgt_service(on)
    watch.over(service).start()
    watch.until(lambda: service.actual().state == "running")
    with Namespace(namespace).socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(service.actual().pid, signal.SIGKILL)
        watch.until(lambda: listens(other))
        mine = f"(pid {os.getpid()}) has TCP port 3260"
        watch.until(lambda: "cannot be started" in service.actual().reason)
        assert service.actual().state == "dead"
        assert service.actual().reason.count(mine) == 1
    watch.until(lambda: service.actual().state == "running")
    assert len(watch.told()) <= 5


def listens(sock: socket.socket) -> bool:
    """Whether the port could be had."""
    try:
        sock.bind(("172.22.0.1", 3260))
    except OSError:
        return False
    sock.listen()
    return True


@pytest.mark.seed("s2")
def test_a_host_without_tgt_says_so_and_imports_go_on(
    watch: Any, host: Any, only_programs: None
) -> None:
    warnings: list[str] = []
    on = host(warnings=warnings, address="172.22.0.1")
    service = tgt_service(on)
    watch.over(service).look()
    row = watch.row("tgt")
    assert (row.expected, row.actual) == ("on", "unavailable")
    assert "the program tgtd is not installed here; install the package tgt" in row.reason
    service.targets.update(write_conf(on.settings.resources.root, IQN))
    assert len(warnings) == 1
    assert "tgtd is not installed" in warnings[0]


def test_a_host_that_no_machine_reaches_serves_no_targets(watch: Any, host: Any) -> None:
    on = host()
    service = tgt_service(on)
    watch.over(service).look()
    row = watch.row("tgt")
    assert (row.expected, row.actual) == ("off", "off")
    assert "127.0.0.1 is one that no machine reaches" in row.expected_reason
    service.targets.update(write_conf(on.settings.resources.root, IQN))


def targets(warnings: list[str], *, seconds: float = PATIENCE, up: float = PATIENCE) -> Targets:
    """Targets of a host where tgtd is up, or not, as ``tgtadm`` says."""
    commands = TgtCommands({}, seconds)
    return Targets(
        commands,
        off=str,
        ready=commands.up,
        loaded=lambda: None,
        tell=warnings.append,
        up_seconds=up,
    )


@pytest.mark.seed("s10")
def test_tgt_admin_is_called_with_these_words_and_no_shell(stand_in: Any, tmp_path: Path) -> None:
    warnings: list[str] = []
    stand_in("tgtadm", "")
    calls = stand_in("tgt-admin", "")
    conf = write_conf(tmp_path / "it's; a $(odd) place", IQN)
    targets(warnings).update(conf)
    assert warnings == []
    assert calls.read_text() == f"--conf {conf} --update ALL\n"


@pytest.mark.seed("s10")
def test_tgt_admin_is_not_called_when_there_is_no_file(stand_in: Any, tmp_path: Path) -> None:
    warnings: list[str] = []
    asked, calls = stand_in("tgtadm", ""), stand_in("tgt-admin", "")
    targets(warnings).update(tmp_path / "drophammer.tgt")
    assert (warnings, asked.read_text(), calls.read_text()) == ([], "", "")


@pytest.mark.seed("s2", "s10")
def test_what_tgt_admin_says_when_it_fails_is_in_the_warning(stand_in: Any, tmp_path: Path) -> None:
    warnings: list[str] = []
    stand_in("tgtadm", "")
    stand_in("tgt-admin", "echo 'tgtadm: out of memory' >&2; exit 107")
    targets(warnings).update(write_conf(tmp_path, IQN))
    (warning,) = warnings
    assert "ended with code 107: tgtadm: out of memory" in warning


@pytest.mark.seed("s2")
def test_a_tgt_admin_that_hangs_is_ended_with_all_it_started(stand_in: Any, tmp_path: Path) -> None:
    warnings: list[str] = []
    note = tmp_path / "pid"
    note.touch()
    stand_in("tgtadm", "")
    stand_in("tgt-admin", f"echo half >&2; sleep {PATIENCE:.0f} & echo $! > {note}; wait")
    conf = write_conf(tmp_path, IQN)

    def ended() -> str:
        warnings.clear()
        begun = time.monotonic()
        targets(warnings, seconds=0.5).update(conf)
        assert time.monotonic() - begun < AT_ONCE
        return note.read_text().strip()

    # Again, if the machine stood still for so long that nothing was started yet.
    stat = Path("/proc", until(ended), "stat")
    (warning,) = warnings
    assert "did not come to an end within 0.5 s: half" in warning
    until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z")


@pytest.mark.seed("s10")
def test_a_tgtd_that_does_not_come_up_is_waited_for_so_long_and_no_longer(
    stand_in: Any, tmp_path: Path
) -> None:
    warnings: list[str] = []
    stand_in("tgtadm", "exit 107")
    calls = stand_in("tgt-admin", "")
    targets(warnings, up=0.3).update(write_conf(tmp_path, IQN))
    (warning,) = warnings
    assert "tgtd did not take orders within 0.3 s" in warning
    assert calls.read_text() == ""


def test_a_missing_tgt_admin_is_named(stand_in: Any, only_programs: None, tmp_path: Path) -> None:
    warnings: list[str] = []
    targets(warnings).update(write_conf(tmp_path, IQN))
    (warning,) = warnings
    assert "the program tgtadm is not installed here; install the package tgt" in warning


@needs_tgt
@pytest.mark.seed("s4")
def test_the_tgtd_of_systemd_loads_our_targets_when_it_starts_and_does_without(
    watch: Any, host: Any, namespace: str, tmp_path: Path, short: Path
) -> None:
    written = tmp_path / "conf.d" / "drophammer.conf"
    written.parent.mkdir()
    main = tmp_path / "targets.conf"
    main.write_text(f"include {written.parent}/*.conf\n")
    words = ["--state-dir", str(tmp_path), "--output", str(written)]
    assert services(["services", "include", *words]) == 0
    assert written.stat().st_mode & 0o777 == 0o644
    # A tgtd of somebody else's, as systemd would start it; its socket is where ours has it.
    on = host(address="172.22.0.1", network_namespace=namespace, state_dir=str(short))
    service = tgt_service(on)
    watch.over(service).start()
    service.targets.update(write_conf(tmp_path / "elsewhere"))
    variables = {"TGT_IPC_SOCKET": str(short / "tgt" / "tgtd.sock")}
    as_the_unit = ["tgt-admin", "-e", "-c", str(main)]
    run(as_the_unit, seconds=PATIENCE, package="tgt", variables=variables)
    assert IQN not in seen(namespace)
    write_conf(tmp_path / "boot-resources", IQN)
    run(as_the_unit, seconds=PATIENCE, package="tgt", variables=variables)
    assert IQN in seen(namespace)


def test_the_example_of_the_include_is_what_is_written() -> None:
    example = Path(__file__).parents[4] / "etc" / "tgt" / "drophammer.conf"
    assert example.read_text() == include(Path("/var/lib/drophammer/boot-resources"))


@pytest.mark.seed("s3")
def test_tgtimg_and_tgt_setup_lun_are_not_needed(
    stand_in: Any, only_programs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    calls = stand_in("tgt-admin", "")
    folder = stand_in("tgtadm", "").parent
    monkeypatch.setenv("PATH", str(folder))
    for name in ("tgtimg", "tgt-setup-lun"):
        assert find(name) is None
    targets(warnings).update(write_conf(tmp_path, IQN))
    assert (warnings, len(calls.read_text().splitlines())) == ([], 1)
    documented = (Path(__file__).parents[4] / "docs" / "services.md").read_text()
    assert "`tgtimg`" in documented
    assert "`tgt-setup-lun`" in documented
