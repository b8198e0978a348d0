"""Boot loaders are found by fixed names, and missing ones are named with their package."""

from __future__ import annotations

import pathlib

import pytest

from drophammer.errors import NotFound
from netboot.loaders import LOADERS, Loader, Loaders


@pytest.fixture
def table(tmp_path: pathlib.Path) -> list[Loader]:
    (tmp_path / "distro").mkdir()
    (tmp_path / "distro" / "pxelinux.bin").write_bytes(b"distribution's")
    return [
        Loader("pxelinux.0", (str(tmp_path / "distro" / "pxelinux.bin"),), "pxelinux"),
        Loader("gone.efi", (str(tmp_path / "nowhere" / "gone.efi"),), "ghost-package"),
    ]


def test_a_loader_is_found_where_the_package_put_it(table: list[Loader]) -> None:
    assert Loaders([], table).find("pxelinux.0").path.read_bytes() == b"distribution's"


def test_firmware_may_write_a_loaders_name_in_capitals(table: list[Loader]) -> None:
    assert Loaders([], table).find("PXELINUX.0").size == len(b"distribution's")


def test_the_operators_folder_comes_first(tmp_path: pathlib.Path, table: list[Loader]) -> None:
    (tmp_path / "pxelinux.0").write_bytes(b"newer")
    assert Loaders([tmp_path], table).find("pxelinux.0").path.read_bytes() == b"newer"


def test_a_loader_may_be_a_link_to_another_folder(
    tmp_path: pathlib.Path, table: list[Loader]
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "gone.efi").symlink_to(tmp_path / "distro" / "pxelinux.bin")
    assert Loaders([tmp_path / "own"], table).find("gone.efi").path.name == "pxelinux.bin"


def test_a_missing_loader_is_named_with_its_package(table: list[Loader]) -> None:
    with pytest.raises(NotFound, match=r"gone\.efi is not installed.*package ghost-package"):
        Loaders([], table).find("gone.efi")


def test_one_that_few_need_is_not_told_to_be_missing() -> None:
    rare = Loader("rare.efi", (), "rare", common=False)
    assert Loaders([], [rare]).missing() == []
    with pytest.raises(NotFound, match="package rare"):
        Loaders([], [rare]).find("rare.efi")


@pytest.mark.parametrize("name", ["syslinux/pxelinux.0", "pxelinux/pxelinux.0", "efi/PXELINUX.0"])
@pytest.mark.seed("s64")
def test_a_loader_is_found_below_the_folders_that_loaders_come_from(
    table: list[Loader], name: str
) -> None:
    assert Loaders([], table).find(name).path.read_bytes() == b"distribution's"


def test_all_missing_loaders_are_listed(table: list[Loader]) -> None:
    missing = Loaders([], table).missing()
    assert len(missing) == 1
    assert "gone.efi" in missing[0]


def test_only_names_of_the_table_are_loaders(table: list[Loader]) -> None:
    loaders = Loaders([], table)
    assert not loaders.knows("../pxelinux.0")
    with pytest.raises(NotFound):
        loaders.find("other")


def test_the_table_has_every_loader_that_dhcp_names() -> None:
    names = {loader.name for loader in LOADERS}
    assert {"undionly.kpxe", "snponly.efi", "pxelinux.0", "bootx64.efi", "grubx64.efi"} <= names
