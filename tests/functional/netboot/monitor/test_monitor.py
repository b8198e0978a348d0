"""What should run and does not is noticed, named, started again, and told of."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from drophammer.errors import Conflict, NotFound, Unavailable
from drophammer.netns import Namespace
from netboot.monitor.child import Child
from netboot.monitor.idle import Unconfigured
from netboot.monitor.outside import OutsideService
from netboot.monitor.ports import Door, Holder, holder
from netboot.monitor.service import ANY, ON, Actual, Expected
from tests.patience import PATIENCE

HERE = Namespace()


def child(script: str, expected: Expected | None = None, **options: Any) -> OutsideService:
    """A service that is a shell script."""
    daemon = Child("sh", ["sh", "-c", script], package="dash", first_pause=0.2)
    want = expected or Expected(ON, "the test wants it")
    return OutsideService("thing", daemon, want, doors=options.pop("doors", ()), namespace=HERE)


@pytest.mark.seed("s1")
def test_a_killed_service_is_noticed_at_once_and_repaired(watch: Any) -> None:
    service = child("exec sleep 60")
    monitor = watch.over(service)
    monitor.start()
    watch.until(lambda: watch.told() == ["thing on rack-7 is running"])
    first = service.actual().pid
    assert first is not None
    assert watch.row("thing").reason == f"pid {first}"
    os.kill(first, signal.SIGKILL)
    # Long before the next look is due: whoever watches the child says so.
    watch.until(lambda: len(watch.told()) >= 3)
    died, again = watch.told()[1:3]
    assert died.startswith("thing on rack-7 is dead: was killed by signal 9")
    assert again == "thing on rack-7 is running"
    second = service.actual().pid
    assert second not in (None, first)
    row = watch.row("thing")
    assert (row.expected, row.expected_reason, row.actual) == ("on", "the test wants it", "running")
    assert (row.managed_by, row.unit) == ("child", None)


@pytest.mark.seed("s1")
def test_what_has_no_configuration_is_expected_off_and_not_started(watch: Any) -> None:
    monitor = watch.over(Unconfigured("dhcp4", "nothing is configured"))
    monitor.look()
    row = watch.row("dhcp4")
    assert (row.expected, row.expected_reason, row.actual) == (
        "off",
        "nothing is configured",
        "off",
    )
    assert watch.told() == []
    with pytest.raises(Conflict, match="expected off"):
        monitor.restart("dhcp4")


def test_a_program_that_is_not_installed_makes_its_service_unavailable(watch: Any) -> None:
    daemon = Child("no-such-program", ["no-such-program"], package="some-package")
    service = OutsideService("thing", daemon, Expected(ON, ""), doors=(), namespace=HERE)
    monitor = watch.over(service)
    monitor.look()
    row = watch.row("thing")
    assert row.actual == "unavailable"
    assert "no-such-program is not installed here; install the package some-package" in row.reason
    # That is known, and no reason to take this host out of service.
    assert monitor.trouble() == ""
    assert "is unavailable" in watch.told()[0]


def test_who_has_the_port_is_named_and_the_service_comes_when_it_is_free(watch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        door = Door("tcp", other.getsockname()[1])
        service = child("exec sleep 60", doors=[door])
        monitor = watch.over(service)
        monitor.look()
        found = holder(door, HERE)
        assert found is not None
        assert found.pid == os.getpid()
        row = watch.row("thing")
        assert row.actual == "dead"
        assert f"{found} has TCP port {door.port}" in row.reason
        assert str(door.port) in monitor.trouble()
    monitor.start()
    watch.until(lambda: watch.row("thing").actual == "running")
    assert monitor.trouble() == ""


def test_a_port_that_nobody_has_has_no_holder() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::1", 0))
        door = Door("udp", other.getsockname()[1])
        found = holder(door, HERE)
        assert isinstance(found, Holder)
        assert found.pid == os.getpid()
    assert holder(door, HERE) is None


def test_a_program_that_fails_again_and_again_is_told_of_once(watch: Any) -> None:
    service = child("echo 'no such interface' >&2; exit 3")
    monitor = watch.over(service)
    monitor.start()
    watch.until(lambda: "no such interface" in monitor.trouble())
    for _ in range(20):
        monitor.look()
    told = watch.told()
    assert len(told) == 1, told
    assert "ended with code 3: no such interface" in told[0]
    assert watch.row("thing").actual in ("dead", "starting")


class Broken:
    """A service at the edge: it will not start, and counts how often it is asked to."""

    name, unit, managed_by, loggers = "broken", "broken.service", "systemd", ()

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception = Unavailable("no way")

    def watch(self, changed: Callable[[], None]) -> None: ...

    def expected(self) -> Expected:
        return Expected(ON, "")

    def actual(self) -> Actual:
        return Actual("dead", "it is broken")

    def ensure(self) -> None:
        self.asked += 1
        raise self.error

    def restart(self) -> None:
        raise self.error

    def stop(self) -> None: ...


def test_what_cannot_be_started_is_tried_after_longer_and_longer_pauses(watch: Any) -> None:
    broken = Broken()
    monitor = watch.over(broken, first_pause=10 * PATIENCE)
    for _ in range(10):
        monitor.look()
    assert broken.asked == 1
    assert watch.told() == [
        "broken on rack-7 is dead: it is broken",
        "broken on rack-7: warning: no way",
    ]


def test_an_unexpected_error_in_one_service_does_not_end_the_looking(watch: Any) -> None:
    broken = Broken()
    broken.error = RuntimeError("a slip of ours")
    watch.over(broken, Unconfigured("dhcp6", "nothing")).look()
    assert "RuntimeError" in watch.row("broken").reason
    assert watch.row("dhcp6").actual == "off"


def test_a_restart_that_is_asked_for_happens_now_and_is_told(watch: Any) -> None:
    service = child("exec sleep 60")
    monitor = watch.over(service)
    monitor.look()
    first = watch.until(lambda: service.actual().pid)
    told = monitor.restart("thing")
    assert told.actual in ("starting", "running")
    assert watch.until(lambda: service.actual().pid) != first
    assert "thing on rack-7: a restart was asked for" in watch.told()
    with pytest.raises(NotFound, match=r"no service 'nothing'; it has thing"):
        monitor.restart("nothing")


def test_what_is_somebody_elses_is_neither_started_nor_stopped(watch: Any) -> None:
    service = child("exec sleep 60", Expected(ANY, "managed elsewhere: the region"))
    watch.over(service).look()
    row = watch.row("thing")
    assert (row.expected, row.expected_reason) == ("any", "managed elsewhere: the region")
    assert row.actual == "off"


def test_nothing_is_left_when_the_monitor_ends_and_the_table_says_so(watch: Any) -> None:
    service = child("exec sleep 60")
    monitor = watch.over(service)
    monitor.start()
    pid = watch.until(lambda: service.actual().pid)
    monitor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert watch.row("thing").actual == "off"


def test_what_could_not_be_written_is_written_when_the_database_is_back(watch: Any) -> None:
    monitor = watch.over(Broken())
    with watch.store.write() as session:
        session.execute(text("ALTER TABLE services RENAME TO elsewhere"))
    monitor.look()
    with watch.store.write() as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO services"))
    assert watch.told() == []
    monitor.look()
    assert watch.row("broken").actual == "dead"
    assert len(watch.told()) == 2


def test_since_stays_and_seen_at_moves_while_nothing_changes(watch: Any, still_clock: Any) -> None:
    monitor = watch.over(Unconfigured("dhcp4", "nothing"), clock=still_clock)
    monitor.look()
    begun = still_clock.now()
    still_clock.advance(20)
    monitor.look()
    row = watch.row("dhcp4")
    assert (row.since, row.seen_at) == (begun, still_clock.now())


def test_a_service_that_this_host_has_no_more_leaves_the_table(watch: Any) -> None:
    watch.over(Unconfigured("dhcp4", "a"), Unconfigured("proxy", "b")).look()
    watch.over(Unconfigured("dhcp4", "a")).look()
    with pytest.raises(NotFound, match=r"no service 'proxy'; it has dhcp4"):
        watch.row("proxy")


class Hanging(Broken):
    """A service whose program does not come back for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def ensure(self) -> None:
        self.asked += 1
        assert self.free.wait(2 * PATIENCE)

    def restart(self) -> None: ...


def test_a_service_that_hangs_keeps_no_other_from_being_looked_after(watch: Any) -> None:
    hanging, other = Hanging(), child("exec sleep 60")
    monitor = watch.over(hanging, other, interval=0.2, patience=0.1)
    monitor.start()
    watch.until(lambda: "thing on rack-7 is running" in watch.told())
    begun = watch.row("thing").seen_at
    first = other.actual().pid
    os.kill(first, signal.SIGKILL)
    watch.until(lambda: watch.row("thing").reason not in ("", f"pid {first}"))
    watch.until(lambda: watch.row("thing").actual == "running")
    assert monitor.restart("thing").actual in ("starting", "running")
    # The host is heard of all the time, and nobody lines up behind the one that hangs.
    assert watch.row("broken").seen_at > begun
    assert hanging.asked == 1
    hanging.free.set()
    watch.until(lambda: hanging.asked > 1)


def test_several_may_look_at_once_and_each_service_is_tended_by_one(watch: Any) -> None:
    monitor = watch.over(*(Unconfigured(f"dhcp{number}", "nothing") for number in range(8)))
    with ThreadPoolExecutor(8) as pool:
        for looked in [pool.submit(monitor.look) for _ in range(200)]:
            looked.result(PATIENCE)
    tending = [thread.name for thread in threading.enumerate() if "tending-" in thread.name]
    assert tending == []
