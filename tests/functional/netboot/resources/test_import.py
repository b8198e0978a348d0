"""Imports: snapshots are exchanged whole, and the cache is trusted no further than it may be."""

from __future__ import annotations

import datetime
import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from drophammer.errors import Conflict, ImageError, Unavailable
from netboot.importing.progress import Progress, status
from netboot.importing.run import Cancelled
from tests.patience import PATIENCE

XENIAL = "ubuntu/amd64/generic/xenial/daily"
TRUSTY = "ubuntu/arm64/xgene-uboot-mustang/trusty/release"
KERNEL = f"{XENIAL}/boot-kernel"


def stats(folder: Path) -> dict[str, tuple[int, int]]:
    """(inode, mtime_ns) of each file of images below a snapshot."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (folder / "ubuntu").rglob("*")
        if path.is_file()
    }


@pytest.mark.seed("s9", "s13")
def test_an_import_makes_the_tree_as_it_is_described(world, files) -> None:
    report = world.importer(files).run()
    assert report.ok
    assert report.changed
    assert world.resources.current().name == report.snapshot
    assert os.readlink(world.root / "current") == report.snapshot
    assert (world.current / KERNEL).read_bytes() == files.files[KERNEL]
    cached = world.root / "cache" / hashlib.sha256(files.files[KERNEL]).hexdigest()
    assert os.path.samefile(cached, world.current / KERNEL)
    assert [str(image.id) for image in world.resources.current().images()] == [XENIAL, TRUSTY]
    assert not world.left_overs()


@pytest.mark.seed("s13", "s52")
def test_nothing_new_makes_no_snapshot_and_touches_only_the_index(world, files) -> None:
    world.importer(files).run()
    before, meta = stats(world.current), world.root / "drophammer.meta"
    os.utime(meta, (1, 1))
    files.fetched.clear()
    report = world.importer(files).run()
    assert report.ok
    assert not report.changed
    assert files.fetched == []
    assert len(world.resources.snapshots()) == 1
    assert stats(world.current) == before
    assert meta.stat().st_mtime > 1


@pytest.mark.seed("s13", "s52")
def test_what_did_not_change_is_the_same_file_in_the_next_snapshot(world, files) -> None:
    world.importer(files).run()
    first, before = world.current, stats(world.current)
    files.image(TRUSTY, "two")
    files.fetched.clear()
    assert world.importer(files).run().changed
    assert world.current != first
    after = stats(world.current)
    assert {path for path in after if after[path] != before[path]} == {
        path for path in after if path.startswith(TRUSTY)
    }
    assert sorted(files.fetched) == sorted(path for path in files.files if TRUSTY in path)


@pytest.mark.seed("s13")
def test_two_snapshots_within_a_second_have_names_in_order(world, files) -> None:
    world.moment = datetime.datetime(2026, 11, 21, 10, 15, tzinfo=datetime.UTC)
    found = []
    for version in ("one", "two", "three"):
        files.image(XENIAL, version)
        found.append(world.importer(files).run().snapshot)
    assert found == [f"snapshot-20261121-10150{second}" for second in range(3)]
    world.moment -= datetime.timedelta(days=2)
    files.image(XENIAL, "four")
    assert world.importer(files).run().snapshot == "snapshot-20261121-101503"


@pytest.mark.parametrize("damage", ["truncated", "changed", "lost"])
def test_a_damaged_file_is_noticed_and_had_again(world, files, damage) -> None:
    world.importer(files).run()
    cached = world.root / "cache" / hashlib.sha256(files.files[KERNEL]).hexdigest()
    if damage == "truncated":
        os.truncate(cached, 100)
    elif damage == "changed":
        cached.write_bytes(files.files[KERNEL].upper())
    else:
        cached.unlink()
    files.fetched.clear()
    report = world.importer(files).run()
    assert report.ok
    # A name that was lost is found again under another one.
    assert files.fetched == ([] if damage == "lost" else [KERNEL])
    assert world.check_whole()
    assert (world.current / KERNEL).read_bytes() == files.files[KERNEL]


def test_damage_that_size_and_time_do_not_tell_is_found_by_a_thorough_run(world, files) -> None:
    world.importer(files).run()
    path = world.current / KERNEL
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not world.importer(files).run().changed
    assert world.importer(files).run(thorough=True).changed
    assert world.check_whole()


@pytest.mark.parametrize("sums", [True, False])
def test_a_run_that_was_cut_off_is_taken_up_where_it_ended(world, files, sums) -> None:
    files.sums = sums
    last = list(files.files)[-1]
    importer = world.importer(files)

    files.broken[last] = SystemExit(143)
    with pytest.raises(SystemExit):
        importer.run()
    assert world.check_whole() is None
    assert not world.left_overs()
    files.broken.clear()
    files.fetched.clear()
    assert importer.run().ok
    assert files.fetched == ([last] if sums else list(files.files))


@pytest.mark.seed("s45", "s53")
def test_a_failed_file_is_named_and_its_image_stays_whole(world, files) -> None:
    world.importer(files).run()
    files.image(XENIAL, "two")
    files.image(TRUSTY, "two")
    files.broken[KERNEL] = ImageError("The mirror went away.")
    report = world.importer(files).run()
    assert not report.ok
    assert [(f.path, f.message) for f in report.failures] == [(KERNEL, "The mirror went away.")]
    assert "boot-kernel" in str(report)
    for file in ("boot-kernel", "boot-initrd", "squashfs"):
        assert (world.current / XENIAL / file).read_bytes().startswith(b"one")
        assert (world.current / TRUSTY / file).read_bytes().startswith(b"two")
    assert world.check_whole()
    assert not world.left_overs()


def test_a_folder_for_temporary_files_that_is_full_is_named(world, files) -> None:
    files.broken[KERNEL] = OSError(errno.ENOSPC, "No space left on device")
    report = world.importer(files).run()
    assert f"The disk of {tempfile.gettempdir()} is full." in report.failures[0].message


@pytest.mark.seed("s13", "s45")
def test_a_first_image_that_fails_is_left_out(world, files) -> None:
    files.broken[KERNEL] = OSError("connection reset")
    report = world.importer(files).run()
    assert not report.ok
    assert [str(image.id) for image in world.resources.current().images()] == [TRUSTY]


def test_a_source_that_fails_keeps_what_it_had_and_stops_no_other(world, make_files) -> None:
    first, second = make_files("first"), make_files("second")
    first.image(XENIAL, "one")
    second.image(TRUSTY, "one")
    world.importer(first, second).run()
    first.broken[""] = Unavailable("The index is not to be had.")
    second.image(TRUSTY, "two")
    report = world.importer(first, second).run()
    assert [str(failure) for failure in report.failures] == [
        "source first: The index is not to be had."
    ]
    assert (world.current / KERNEL).read_bytes().startswith(b"one")
    assert (world.current / TRUSTY / "squashfs").read_bytes().startswith(b"two")


def test_of_two_sources_with_the_same_image_the_first_gives_all_of_it(world, make_files) -> None:
    first, second = make_files("first"), make_files("second")
    first.files[KERNEL] = b"first"
    second.image(XENIAL, "second")
    assert world.importer(first, second).run().ok
    assert os.listdir(world.current / XENIAL) == ["boot-kernel"]
    assert (world.current / KERNEL).read_bytes() == b"first"


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("ubuntu/amd64/ga'16/xenial/daily/boot-kernel", 15),
        ("ubuntu/amd64/ga\n16/xenial/daily/boot-kernel", 15),
        ("ubuntu/amd64/ga>16/xenial/daily/boot-kernel", 15),
        ("ubuntu/amd64/../xenial/daily/boot-kernel", 13),
        ("ubuntu/amd64/gä/xenial/daily/boot-kernel", 14),
        ("ubuntu/amd64/generic/xenial/daily/boot kernel", 38),
    ],
)
@pytest.mark.seed("s5")
def test_a_name_that_no_configuration_can_hold_is_refused(world, files, path, position) -> None:
    files.files[path] = b"x"
    report = world.importer(files).run()
    assert [failure.path for failure in report.failures] == [path]
    assert f"position {position} " in report.failures[0].message
    assert len(world.resources.current().images()) == 2 - path.startswith(XENIAL)


@pytest.mark.parametrize("path", ["etc/passwd", "/a/b/c/d/e/f", "bootloader/x", "grub/a/b/c/d/e"])
def test_files_that_belong_nowhere_are_refused(world, files, path) -> None:
    files.files[path] = b"x"
    report = world.importer(files).run()
    assert [failure.path for failure in report.failures] == [path]


def test_two_images_that_would_share_an_iscsi_name_are_not_both_taken(world, make_files) -> None:
    source = make_files()
    source.image("ubuntu/amd64/ga-16/xenial/daily", "one")
    source.image("ubuntu/amd64/ga/16-xenial/daily", "two")
    report = world.importer(source).run()
    assert len(report.failures) == 3
    assert "same iSCSI name" in report.failures[0].message
    assert len(world.resources.current().images()) == 1


def test_an_empty_source_leaves_what_there_is(world, files) -> None:
    world.importer(files).run()
    files.files.clear()
    report = world.importer(files).run()
    assert report.notes == ["the sources have nothing; what there is stays"]
    assert world.check_whole()


def test_a_damaged_index_is_made_anew(world, files) -> None:
    world.importer(files).run()
    (world.current / "drophammer.meta").write_text("{")
    assert world.importer(files).run().changed
    assert world.check_whole()
    assert world.importer(files).run().ok


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), Path.unlink])
def test_with_a_damaged_index_nothing_is_lost_that_cannot_be_had(world, files, damage) -> None:
    world.importer(files).run()
    before = world.current
    damage(world.current / "drophammer.meta")
    files.image(XENIAL, "two")
    files.broken[KERNEL] = OSError("connection reset")
    with pytest.raises(Unavailable, match="would be lost"):
        world.importer(files).run()
    assert world.current == before
    files.broken.clear()
    assert world.importer(files).run().ok
    assert world.check_whole()


@pytest.mark.seed("s53")
def test_what_is_imported_can_be_read_by_other_users(files, make_world, world) -> None:
    """Whatever the umask: the service's own is for the database's sake a narrow one."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        world.root = Path(folder) / "boot-resources"
        before = os.umask(0o077)
        try:
            world.importer(files).run()
        finally:
            os.umask(before)
        read = (
            "import os, sys; os.setgid(65534); os.setgroups([]); os.setuid(65534);"
            "[open(name, 'rb').read() for name in sys.argv[1:]]"
        )
        names = [world.root / "current" / path for path in files.files]
        names += [world.root / "drophammer.meta", world.root / "current" / "drophammer.tgt"]
        asked = [sys.executable, "-IS", "-c", read, *map(str, names)]
        if os.getuid() == 0:
            subprocess.run(asked, check=True)
        assert all(name.stat().st_mode & 0o777 == 0o644 for name in names)


@pytest.mark.seed("s12")
def test_two_imports_never_run_at_once(world, files) -> None:
    fetching, go_on = threading.Event(), threading.Event()
    slow = files.entries

    def entries(known):
        fetching.set()
        assert go_on.wait(PATIENCE)
        return slow(known)

    files.entries = entries
    first = threading.Thread(target=world.importer(files).run)
    first.start()
    assert fetching.wait(PATIENCE)
    with pytest.raises(Conflict, match="Another import"):
        world.importer(files).run()
    assert status(world.root)["state"] == "running"
    second: list[object] = []
    waiting = threading.Thread(target=lambda: second.append(world.importer(files).run(wait=True)))
    waiting.start()
    go_on.set()
    first.join()
    waiting.join()
    assert [report.changed for report in second] == [False]
    assert len(world.resources.snapshots()) == 1


@pytest.mark.seed("s12")
def test_a_cancelled_import_leaves_what_there_was(world, files) -> None:
    world.importer(files).run()
    before = world.check_whole()
    files.image(XENIAL, "two")
    importer = world.importer(files)
    fetch = files._entry

    def entry(path, content):
        made = fetch(path, content)
        importer.cancel()
        return made

    files._entry = entry
    with pytest.raises(Cancelled):
        importer.run()
    assert world.check_whole() == before
    assert not world.left_overs()
    assert status(world.root)["state"] == "failed"


def test_how_an_import_ended_is_told_once_and_kept(world, files) -> None:
    importer = world.importer(files)
    importer.run()
    found = status(world.root)
    assert found["state"] == "done"
    assert found["files"] == found["files_total"] == 6
    assert found["bytes"] == found["bytes_total"] == sum(map(len, files.files.values()))
    assert found["report"]["changed"] is True
    assert [data["state"] for _, data in world.told] == ["done"]
    assert "snapshot-" in world.told[0][0]
    importer.run()
    assert status(world.root)["report"]["changed"] is False
    assert len(world.told) == 1


def test_progress_is_told_every_ten_seconds_and_written_every_second(world) -> None:
    world.root.mkdir()
    seconds = iter(range(1000))
    progress = Progress(
        world.root, world, lambda line, data: world.told.append((line, data)), lambda: next(seconds)
    )
    progress.begin()
    progress.expect(2, 50_000_000)
    progress.fetching(KERNEL)
    seen = set()
    for _ in range(40):
        progress.wrote(1_000_000)
        seen.add(status(world.root)["bytes"])
    assert len(world.told) == 4
    assert world.told[0][0] == f"import: {KERNEL}, 9.0 of 50.0 MB, 0.9 MB/s"
    assert len(seen) == 40
    assert status(world.root)["bytes_per_second"] == 975_610


def test_the_status_of_a_killed_import_is_interrupted(world) -> None:
    world.root.mkdir()
    code = (
        "import sys, os\nfrom pathlib import Path\n"
        "from drophammer.clock import SystemClock\n"
        "from netboot.importing.progress import Progress\n"
        "Progress(Path(sys.argv[1]), SystemClock(), print).begin(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, world.root], check=False)
    assert status(world.root)["state"] == "interrupted"
