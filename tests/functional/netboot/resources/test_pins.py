"""Pins and garbage: a boot has one snapshot for all its files, and what boots use stays."""

from __future__ import annotations

import datetime
import os

import pytest
from sqlalchemy import select

from drophammer import boots
from drophammer.bootspec import BootSpec
from drophammer.errors import Invalid, NotFound, Unavailable
from drophammer.model import Event, Node, new_uuid
from netboot.importing.database import ImportRecords
from netboot.resources.durable import DiskTrouble
from tests.databases import copied

XENIAL = "ubuntu/amd64/generic/xenial/daily"
TRUSTY = "ubuntu/arm64/xgene-uboot-mustang/trusty/release"
HOURS = datetime.timedelta(hours=1)


@pytest.fixture
def store(empty_database, tmp_path):
    opened = copied(empty_database, tmp_path / "database.sqlite")
    yield opened
    opened.close()


def urls(*files: str) -> list[str]:
    return [f"resource:///{XENIAL}/{file}" for file in files]


def boot(store, *, kernel: str, ramdisk: str, root: str | None = None) -> int:
    """A node that boots these."""
    now = store.clock.now()
    with store.write() as session:
        node = Node(uuid=new_uuid(), driver="fake", provision_state="deploying", created_at=now)
        session.add(node)
        session.flush()
        spec = BootSpec(
            node_uuid=node.uuid,
            purpose="deploy",
            loader="ipxe",
            kernel=kernel,
            ramdisk=ramdisk,
            parameters=(),
            key=f"key-of-node-{node.id}",
            root=root,
        )
        boots.put(session, node.id, spec, now)
        return int(node.id)


def test_all_files_of_a_boot_are_pinned_to_one_snapshot(world, files) -> None:
    world.importer(files).run()
    name = world.resources.current().name
    asked = [*urls("boot-kernel", "squashfs"), "http://other/initrd"]
    assert world.resources.pin(asked) == [
        f"resource:///{name}/{XENIAL}/boot-kernel",
        f"resource:///{name}/{XENIAL}/squashfs",
        "http://other/initrd",
    ]


def test_what_is_pinned_stays_and_takes_the_others_with_it(world, files) -> None:
    world.importer(files).run()
    [pinned] = world.resources.pin(urls("boot-kernel"))
    first = world.resources.current().name
    files.image(XENIAL, "two")
    world.importer(files).run()
    both = world.resources.pin([pinned, *urls("boot-initrd")])
    assert both == [pinned, f"resource:///{first}/{XENIAL}/boot-initrd"]
    second = world.resources.pin(urls("boot-kernel"))
    with pytest.raises(Invalid, match="cannot take its files from the snapshots"):
        world.resources.pin([pinned, *second])


def test_what_cannot_be_pinned_is_refused_in_words(world, files) -> None:
    with pytest.raises(NotFound, match="No boot resources have been imported yet"):
        world.resources.pin(urls("boot-kernel"))
    world.importer(files).run()
    with pytest.raises(NotFound, match="not kept any more"):
        world.resources.pin([f"resource:///snapshot-20200101-000000/{XENIAL}/boot-kernel"])
    with pytest.raises(NotFound, match="no boot resource"):
        world.resources.pin(urls("vmlinux"))
    for wrong in ("resource:///", "resource://host/a", "resource:///a/../b", "resource:///a'b"):
        with pytest.raises(Invalid):
            world.resources.pin([wrong])


def test_the_target_of_a_root_file_system_is_that_of_the_configuration(world, files) -> None:
    world.importer(files).run()
    [pinned] = world.resources.pin(urls("squashfs"))
    name = world.resources.root_target(pinned)
    assert name == (
        "iqn.2004-05.com.ubuntu:maas:ephemeral-ubuntu-amd64-generic-xenial-daily:"
        f"{world.resources.current().name}"
    )
    assert f"<target {name}>" in (world.current / "drophammer.tgt").read_text()
    for wrong in urls("boot-kernel"):
        with pytest.raises(Invalid, match="no root file system"):
            world.resources.root_target(wrong)


@pytest.mark.parametrize("column", ["kernel", "ramdisk", "root"])
def test_a_snapshot_that_a_boot_names_is_never_removed(world, files, store, column) -> None:
    importer = world.importer(files, used=ImportRecords(store).used)
    importer.run()
    first = world.resources.current()
    of = {"kernel": "http://a/k", "ramdisk": "http://a/i", "root": None}
    node = boot(store, **{**of, column: world.resources.pin(urls("boot-kernel"))[0]})
    files.image(XENIAL, "two")
    importer.run()
    world.moment = datetime.datetime.now(datetime.UTC) + 1000 * HOURS
    assert importer.collect() == []
    assert first.path.is_dir()
    assert first.name in (world.current / "drophammer.tgt").read_text()
    with store.write() as session:
        boots.clear(session, node)
    assert importer.collect() == [first.name]
    assert not first.path.exists()
    assert first.name not in (world.current / "drophammer.tgt").read_text()
    assert world.check_whole()


def test_a_replaced_snapshot_is_kept_for_some_hours(world, files) -> None:
    world.moment = start = datetime.datetime.now(datetime.UTC)
    importer = world.importer(files, keep=5 * HOURS)
    importer.run()
    first = world.resources.current().name
    # It was current for days: what counts is when it was replaced.
    world.moment = start + 48 * HOURS
    files.image(XENIAL, "two")
    importer.run()
    world.moment = start + 52 * HOURS
    assert importer.run().removed == []
    world.moment = start + 54 * HOURS
    assert importer.run().removed == [first]
    assert [kept.name for kept in world.resources.snapshots()] == [world.current.name]


def test_what_was_imported_by_a_wrong_clock_is_not_kept_for_ever(world, files) -> None:
    right = datetime.datetime.now(datetime.UTC)
    importer = world.importer(files, keep=5 * HOURS)
    for hours, version in ((0, "one"), (1, "two")):
        files.image(XENIAL, version)
        world.moment = right + 90_000 * HOURS + hours * HOURS
        importer.run()
        ahead = world.moment.timestamp()
        os.utime(world.current, (ahead, ahead))
    old = world.resources.snapshots()[0].name
    removed = []
    for hours in (0, 6, 12):
        world.moment = right + hours * HOURS
        removed.append(importer.run().removed)
    assert removed == [[], [], [old]]
    assert world.check_whole()


def test_a_folder_that_no_snapshot_can_follow_upon_is_named(world, files) -> None:
    world.root.mkdir()
    (world.root / "snapshot-99991231-235959").mkdir()
    with pytest.raises(Invalid, match="snapshot-99991231-235959"):
        world.importer(files).run()


def test_a_snapshot_that_was_pinned_just_now_is_kept(world, files) -> None:
    """Its row in the database comes only after that."""
    world.moment = datetime.datetime.now(datetime.UTC) - 100 * HOURS
    importer = world.importer(files)
    importer.run()
    first = world.resources.current()
    pinned = world.resources.pin(urls("boot-kernel"))
    files.image(XENIAL, "two")
    importer.run()
    long_ago = (world.moment - HOURS).timestamp()
    os.utime(first.path, (long_ago, long_ago))
    world.moment += 99 * HOURS
    assert world.resources.pin(pinned) == pinned
    assert importer.collect() == []
    os.utime(first.path, (long_ago, long_ago))
    assert importer.collect() == [first.name]
    with pytest.raises(NotFound):
        world.resources.pin(pinned)


def test_nothing_is_removed_when_it_is_not_known_what_boots(world, files) -> None:
    def unknown():
        raise Unavailable("The database did not answer.")

    importer = world.importer(files, used=unknown)
    importer.run()
    files.image(XENIAL, "two")
    importer.run()
    world.moment = datetime.datetime.now(datetime.UTC) + 1000 * HOURS
    report = importer.run()
    assert report.ok
    assert report.removed == []
    assert "The database did not answer." in report.notes
    assert len(world.resources.snapshots()) == 2


def test_a_file_that_is_being_sent_stays_open_when_its_snapshot_goes(world, files) -> None:
    importer = world.importer(files)
    importer.run()
    path = world.current / XENIAL / "squashfs"
    content = path.read_bytes()
    with path.open("rb") as sent:
        assert sent.read(10) == content[:10]
        files.image(XENIAL, "two")
        importer.run()
        world.moment = datetime.datetime.now(datetime.UTC) + 1000 * HOURS
        assert len(importer.collect()) == 1
        assert not path.exists()
        assert sent.read() == content[10:]


def test_what_no_snapshot_has_leaves_the_cache(world, files) -> None:
    importer = world.importer(files)
    importer.run()
    files.image(XENIAL, "two")
    importer.run()
    assert len(os.listdir(world.root / "cache")) == 9
    world.moment = datetime.datetime.now(datetime.UTC) + 1000 * HOURS
    importer.run()
    assert len(os.listdir(world.root / "cache")) == 6


def test_a_mirror_that_is_gone_for_good_does_not_let_the_cache_grow(
    world, files, make_files
) -> None:
    gone = make_files("gone")
    gone.broken[""] = Unavailable("The mirror is gone.")
    importer = world.importer(gone, files)
    world.moment = datetime.datetime.now(datetime.UTC)
    for version in ("one", "two", "three", "four"):
        files.image(XENIAL, version)
        assert not importer.run().ok
        world.moment += 1000 * HOURS
    assert len(world.resources.snapshots()) <= 2
    assert len(os.listdir(world.root / "cache")) <= 9


def test_a_disk_that_is_full_loses_what_nobody_needs(world, files) -> None:
    importer = world.importer(files)
    importer.run()
    old = world.current
    files.image(XENIAL, "two")
    importer.run()
    files.image(XENIAL, "three")
    files.broken[f"{XENIAL}/boot-kernel"] = DiskTrouble("The disk is full.")
    world.moment = datetime.datetime.now(datetime.UTC) + 1000 * HOURS
    with pytest.raises(DiskTrouble):
        importer.run()
    assert not old.exists()
    assert len(os.listdir(world.root / "cache")) == 6
    assert old.name not in (world.current / "drophammer.tgt").read_text()
    assert world.check_whole()


@pytest.mark.seed("s5", "s15")
def test_the_targets_of_a_snapshot_are_exactly_these(world, files) -> None:
    before = os.umask(0o077)
    try:
        world.importer(files).run()
    finally:
        os.umask(before)
    prefix, name = "iqn.2004-05.com.ubuntu:maas:ephemeral", world.current.name

    def block(image: str, suffix: str) -> str:
        return (
            f"<target {prefix}-{image.replace('/', '-')}{suffix}>\n"
            "    readonly 1\n"
            "    allow-in-use yes\n"
            f'    backing-store "{world.root}/{name}/{image}/squashfs"\n'
            "    driver iscsi\n"
            "</target>\n"
        )

    conf = world.current / "drophammer.tgt"
    assert conf.read_text() == (
        block(XENIAL, "")
        + block(XENIAL, f":{name}")
        + block(TRUSTY, "")
        + block(TRUSTY, f":{name}")
    )
    assert "ephemeral-ubuntu-arm64-xgene-uboot-mustang-trusty-release>" in conf.read_text()
    assert conf.stat().st_mode & 0o777 == 0o644


@pytest.mark.seed("s5")
def test_a_root_image_is_a_target_when_there_is_no_squashfs(world, files) -> None:
    files.files = {
        f"{XENIAL}/boot-kernel": b"k",
        f"{XENIAL}/root-image": b"r",
        f"{TRUSTY}/boot-kernel": b"k",
    }
    world.importer(files).run()
    text = (world.current / "drophammer.tgt").read_text()
    assert f'{XENIAL}/root-image"' in text
    assert "arm64" not in text
    [pinned] = world.resources.pin(urls("root-image"))
    assert f"<target {world.resources.root_target(pinned)}>" in text


@pytest.mark.seed("s10")
def test_targets_are_told_of_after_each_run_and_their_failure_does_not_count(world, files) -> None:
    class Targets:
        told: list[object] = []

        def update(self, conf) -> None:
            self.told.append(conf)
            raise Unavailable("tgt-admin is missing.")

    importer = world.importer(files, targets=Targets())
    for _ in range(2):
        report = importer.run()
        assert report.ok
        assert "tgt-admin is missing." in report.notes
    assert Targets.told == [world.current / "drophammer.tgt"] * 2
    warnings = [line for line, data in world.told if data["state"] == "warning"]
    assert warnings == ["import: tgt-admin is missing."] * 2


@pytest.mark.seed("s10")
def test_no_targets_are_told_of_before_there_is_a_snapshot(world, make_files) -> None:
    class Targets:
        def update(self, conf) -> None:
            raise AssertionError("nothing is there")

    assert world.importer(make_files(), targets=Targets()).run().notes


def test_what_an_import_does_is_an_event_of_no_node(world, files, store) -> None:
    records = ImportRecords(store)
    world.importer(files, tell=records.tell).run()
    with store.read() as session:
        [event] = session.scalars(select(Event)).all()
    assert (event.node_id, event.source, event.kind) == (None, "netboot", "import")
    assert event.data["report"]["changed"] is True
    assert world.current.name in event.message
