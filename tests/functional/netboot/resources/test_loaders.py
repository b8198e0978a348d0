"""Boot loaders of a snapshot: from sources, the former snapshot, or this system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drophammer.errors import Forbidden, NotFound
from netboot.resources.bootmethods import METHODS, BootMethod, LoaderFile, places_of

XENIAL = "ubuntu/amd64/generic/xenial/daily"

# What the root of a snapshot has, and where each leads.
ROOT = {
    "bootppc64.bin": "bootloader/open-firmware/ppc64el/bootppc64.bin",
    "bootx64.efi": "bootloader/uefi/amd64/bootx64.efi",
    "chain.c32": "bootloader/pxe/i386/chain.c32",
    "grub": "bootloader/uefi/amd64/grub",
    "grubaa64.efi": "bootloader/uefi/arm64/grubaa64.efi",
    "grubx64.efi": "bootloader/uefi/amd64/grubx64.efi",
    "ifcpu64.c32": "bootloader/pxe/i386/ifcpu64.c32",
    "ldlinux.c32": "bootloader/pxe/i386/ldlinux.c32",
    "libcom32.c32": "bootloader/pxe/i386/libcom32.c32",
    "libutil.c32": "bootloader/pxe/i386/libutil.c32",
    "pxelinux.0": "bootloader/pxe/i386/pxelinux.0",
    "syslinux": "bootloader/pxe/i386",
}


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Where the system has boot loaders."""
    made = tmp_path / "usr"
    made.mkdir()
    return made


def of_system(system: Path) -> tuple[BootMethod, ...]:
    """The table, with all loaders looked for in one folder."""
    return tuple(
        BootMethod(
            method.name,
            method.arch,
            tuple(
                LoaderFile(file.name, (f"{system}/{file.name}",), file.package)
                for file in method.files
            ),
            method.aliases,
            method.grub,
        )
        for method in METHODS
    )


@pytest.fixture
def world(make_world, system):
    methods = of_system(system)
    return make_world(methods=methods, system=places_of(methods))


def stream(files) -> None:
    """Let the source have every loader."""
    for method in METHODS:
        for file in method.files:
            files.files[f"{method.folder}/{file.name}"] = file.name.encode()


@pytest.mark.seed("s6", "s7", "s14")
def test_the_root_has_every_name_as_a_relative_link(world, files) -> None:
    stream(files)
    report = world.importer(files).run()
    assert report.missing == []
    for name, target in ROOT.items():
        link = world.current / name
        assert os.readlink(link) == target
        assert not os.path.isabs(os.readlink(link))
        assert link.resolve().is_relative_to(world.current.resolve())
        assert link.exists()
    assert (world.current / "syslinux" / "chain.c32").read_bytes() == b"chain.c32"
    assert b"net_default_mac" in (world.current / "grub" / "grub.cfg").read_bytes()
    assert world.resources.find("syslinux/chain.c32") == (
        (world.current / "bootloader/pxe/i386/chain.c32").resolve()
    )
    assert not world.importer(files).run().changed


@pytest.mark.seed("s8")
def test_a_missing_loader_is_linked_to_from_the_system(world, files, system) -> None:
    stream(files)
    del files.files["bootloader/pxe/i386/chain.c32"]
    (system / "chain.c32").write_bytes(b"of the system")
    report = world.importer(files).run()
    assert report.missing == []
    link = world.current / "bootloader/pxe/i386/chain.c32"
    assert os.readlink(link) == str(system / "chain.c32")
    assert os.readlink(world.current / "chain.c32") == "bootloader/pxe/i386/chain.c32"
    assert world.resources.find("syslinux/chain.c32") == system / "chain.c32"
    assert not world.importer(files).run().changed


@pytest.mark.seed("s8")
def test_a_loader_of_a_former_snapshot_is_taken_over_and_outlives_it(world, files, system) -> None:
    stream(files)
    world.importer(files).run()
    for path in [path for path in files.files if path.endswith(".c32")]:
        del files.files[path]
    (system / "chain.c32").write_bytes(b"of the system")
    files.image(XENIAL, "two")
    first = world.current
    assert world.importer(files).run().missing == []
    taken = world.current / "bootloader/pxe/i386/chain.c32"
    assert not taken.is_symlink()
    assert taken.read_bytes() == b"chain.c32"
    assert not str(taken.resolve()).startswith(str(first))
    assert world.check_whole()
    assert not world.importer(files).run().changed


@pytest.mark.seed("s8")
def test_a_loader_in_the_former_snapshots_syslinux_folder_is_found(world, files) -> None:
    """As other programs leave such trees: with real files, and without an index of ours."""
    old = world.root / "snapshot-20200101-000000"
    (old / "syslinux").mkdir(parents=True)
    (old / "syslinux" / "chain.c32").write_bytes(b"old")
    (old / "pxelinux.0").write_bytes(b"older")
    os.symlink(old.name, world.root / "current")
    world.importer(files).run()
    assert (world.current / "chain.c32").read_bytes() == b"old"
    assert (world.current / "pxelinux.0").read_bytes() == b"older"
    assert world.check_whole()


@pytest.mark.seed("s8")
def test_what_is_nowhere_is_told_by_name_and_the_rest_goes_on(world, files) -> None:
    stream(files)
    del files.files["bootloader/uefi/arm64/grubaa64.efi"]
    report = world.importer(files).run()
    assert report.ok
    assert len(report.missing) == 1
    assert "bootloader/uefi/arm64/grubaa64.efi" in report.missing[0]
    assert "grub-efi-arm64-signed" in report.missing[0]
    assert not os.path.lexists(world.current / "grubaa64.efi")
    assert (world.current / "bootaa64.efi").exists()


@pytest.mark.seed("s6")
def test_a_boot_method_that_fails_is_told_and_the_others_go_on(make_world, files, system) -> None:
    """One of the places in its line of the table is no path for this system."""
    bad = BootMethod("pxe", "i386", (LoaderFile("pxelinux.0", ("/" + "x" * 300,), "pxelinux"),))
    world = make_world(methods=(bad, *of_system(system)[1:]))
    stream(files)
    del files.files["bootloader/pxe/i386/pxelinux.0"]
    report = world.importer(files).run()
    assert len(report.notes) == 1
    assert report.notes[0].startswith("Boot loaders of pxe for i386: ")
    assert [data["state"] for _, data in world.told] == ["warning", "done"]
    assert (world.current / "grubx64.efi").exists()


def test_a_file_that_leads_out_of_the_tree_is_not_found(world, files, tmp_path) -> None:
    world.importer(files).run()
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path / "secret", world.current / "loader")
    with pytest.raises(Forbidden):
        world.resources.find("loader")
    for path in ("..", "ubuntu/../../x", "drophammer.meta", "", "ubuntu", "snapshot-x", "a\0b"):
        with pytest.raises((Forbidden, NotFound)):
            world.resources.find(path)
