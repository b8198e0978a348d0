"""Imports by the clock and on demand, as a netboot process has them."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator

import pytest

from drophammer.errors import Unavailable
from netboot.importing.calls import ResourceCalls
from netboot.importing.timer import ImportTimer
from tests.patience import PATIENCE

XENIAL = "ubuntu/amd64/generic/xenial/daily"


class Gate:
    """A source that tells when it is asked, and waits until it may answer."""

    name = "gate"

    def __init__(self, source) -> None:
        self._source = source
        self.asked = threading.Semaphore(0)
        self.may = threading.Semaphore(0)

    def entries(self, known):
        self.asked.release()
        assert self.may.acquire(timeout=PATIENCE)
        return self._source.entries(known)

    def began(self) -> bool:
        return self.asked.acquire(timeout=PATIENCE)


@pytest.fixture
def gate(files) -> Gate:
    return Gate(files)


@pytest.fixture
def timer(world, gate) -> Iterator[Callable[..., ImportTimer]]:
    made: list[ImportTimer] = []

    def start(interval: float | None) -> ImportTimer:
        made.append(ImportTimer(world.importer(gate), interval))
        made[-1].start()
        return made[-1]

    yield start
    gate.may.release(1000)
    for one in made:
        one.stop()


def ended(timer: ImportTimer, number: int) -> None:
    """Wait for the end of a run."""
    with timer._state:
        assert timer._state.wait_for(lambda: timer._ended >= number, PATIENCE)


@pytest.mark.seed("s12")
def test_it_imports_at_start_and_then_at_each_interval_whatever_fails(world, files, gate, timer):
    files.broken[""] = Unavailable("The mirror is away.")
    made = timer(0.05)
    gate.may.release(2)
    ended(made, 2)
    assert world.check_whole() is None
    files.broken.clear()
    gate.may.release(2)
    ended(made, 4)
    assert world.check_whole()


@pytest.mark.seed("s12")
def test_an_import_on_demand_is_one_that_begins_after_the_call(world, gate, timer) -> None:
    made = timer(3600)
    assert gate.began()
    assert made.status()["state"] == "running"
    first, second = made.import_now(), made.import_now()
    assert first["asked"] == second["asked"] == 2
    gate.may.release(2)
    ended(made, 2)
    assert gate.began()
    assert not gate.asked.acquire(blocking=False)
    assert made.status()["ended"] == 2


@pytest.mark.seed("s12")
def test_an_import_on_demand_waits_for_another_process(world, files, gate, timer) -> None:
    other = Gate(files)
    running = threading.Thread(target=world.importer(other).run)
    running.start()
    assert other.began()
    made = timer(None)
    assert made.import_now()["state"] == "running"
    assert not gate.asked.acquire(blocking=False)
    other.may.release()
    running.join()
    gate.may.release()
    ended(made, 1)


def test_without_an_interval_nothing_is_imported_until_asked_for(world, gate, timer) -> None:
    made = timer(None)
    assert made.status()["state"] == "never"
    gate.may.release()
    assert made.import_now()["asked"] == 1
    ended(made, 1)
    assert made.status()["state"] == "done"


@pytest.mark.seed("s12")
def test_stopping_in_the_middle_of_an_import_leaves_what_there_was(world, files, gate, timer):
    world.importer(files).run()
    before = world.check_whole()
    files.image(XENIAL, "two")
    made = timer(3600)
    assert gate.began()
    stopping = threading.Thread(target=made.stop)
    stopping.start()
    gate.may.release()
    stopping.join(PATIENCE)
    assert not made._thread.is_alive()
    assert world.check_whole() == before
    assert not world.left_overs()
    with pytest.raises(Unavailable, match="stopped"):
        made.import_now()


def test_the_answers_on_the_bus(world, files, gate, timer) -> None:
    calls = ResourceCalls(world.resources, timer(None))
    assert calls.images() == {"snapshot": None, "checked_at": None, "images": []}
    world.importer(files).run()
    told = calls.images()
    assert told["snapshot"] == world.current.name
    assert datetime.datetime.fromisoformat(told["checked_at"])
    first = told["images"][0]
    assert first["id"] == XENIAL
    assert [file["name"] for file in first["files"]] == ["boot-initrd", "boot-kernel", "squashfs"]
    [pinned] = world.resources.pin([first["files"][2]["url"]])
    assert world.resources.root_target(pinned).endswith(told["snapshot"])
    assert calls.import_status()["state"] == "done"


@pytest.mark.seed("s10")
def test_targets_of_another_process_import_are_told_of_soon(world, files) -> None:
    told, again = [], threading.Semaphore(0)

    class Targets:
        def update(self, conf) -> None:
            told.append(conf)
            again.release()

    timer = ImportTimer(world.importer(files, targets=Targets()), None)
    timer.start()
    try:
        world.importer(files).run()
        assert again.acquire(timeout=PATIENCE)
        assert told == [world.current / "drophammer.tgt"]
    finally:
        timer.stop()


def test_whatever_the_iscsi_server_does_imports_go_on(world, files) -> None:
    world.importer(files).run()

    class Targets:
        def update(self, conf) -> None:
            raise RuntimeError("nobody has thought of this")

    timer = ImportTimer(world.importer(files, targets=Targets()), None)
    timer.start()
    try:
        for number in (1, 2):
            assert timer.import_now()["asked"] == number
            ended(timer, number)
    finally:
        timer.stop()


@pytest.mark.seed("s10")
def test_targets_that_were_imported_before_the_start_are_told_of_before_an_import_ends(
    world, files, gate
) -> None:
    world.importer(files).run()
    told = threading.Event()

    class Targets:
        def update(self, conf) -> None:
            told.set()

    timer = ImportTimer(world.importer(gate, targets=Targets()), 3600)
    timer.start()
    try:
        assert told.wait(PATIENCE)
    finally:
        gate.may.release()
        timer.stop()
