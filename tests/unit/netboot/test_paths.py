"""Which names machines may ask for, and what each one means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Invalid
from netboot.content import clean_path
from netboot.paths import (
    CONFIG,
    FILE,
    IMAGE,
    KERNEL,
    RAMDISK,
    SCRIPT,
    Wanted,
    hexadecimal,
    static,
    wanted,
)

MAC = "52:54:00:22:00:01"
UUID = "b8945908-d6a6-41a9-611d-74a6ab80b83d"

# What a loader asks for, in its order (syslinux doc/pxelinux.txt, "search for the config
# file"; GRUB does the same), and by what it is to be told from others.
SEARCH = [
    (UUID, {"uuid": UUID}),
    ("01-52-54-00-22-00-01", {"mac": MAC}),
    ("C0A801CD", {"ip": "C0A801CD"}),
    ("C0A801C", {"ip": "C0A801C"}),
    ("C0A801", {"ip": "C0A801"}),
    ("C0A80", {"ip": "C0A80"}),
    ("C0A8", {"ip": "C0A8"}),
    ("C0A", {"ip": "C0A"}),
    ("C0", {"ip": "C0"}),
    ("C", {"ip": "C"}),
    ("default", {"default": True}),
    ("default.amd64", {"default": True, "arch": "amd64"}),
    ("default-arm64", {"default": True, "arch": "arm64"}),
    ("default-amd64-generic", {"default": True, "arch": "amd64"}),
    ("default-arm64-xgene-uboot", {"default": True, "arch": "arm64"}),
    ("default-x86_64", {"default": True, "arch": "amd64"}),
]
PREFIXES = [
    ("pxelinux.cfg/", CONFIG, "pxelinux"),
    ("grub/grub.cfg-", CONFIG, "grub"),
    ("grub.cfg-", CONFIG, "grub"),
    ("ipxe/", SCRIPT, "ipxe"),
]
SPELLINGS = [str, str.lower, str.upper, lambda name: f"/{name}", lambda name: f"//{name}"]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(("prefix", "stage", "language"), PREFIXES)
@pytest.mark.parametrize(("name", "who"), SEARCH)
@pytest.mark.seed("s21")
def test_every_name_of_the_search_is_understood_in_every_spelling(
    name: str, who: Any, prefix: str, stage: str, language: str, spell: Any
) -> None:
    for path in (spell(prefix + name), spell(prefix + name).replace("/", "\\")):
        asked = clean_path(path)
        assert wanted(asked, {}) == Wanted(stage, asked, language=language, **who)


@pytest.mark.parametrize("tree", ["pxelinux/", "efi/", "PXELINUX/"])
@pytest.mark.seed("s64")
def test_a_machine_that_was_sent_to_a_tree_of_its_firmware_finds_the_same(tree: str) -> None:
    for name in ("pxelinux.cfg/default", f"grub/grub.cfg-{MAC}", "boot/secret-key-123/kernel"):
        assert wanted(tree + name, {}) == wanted(name, {})


@pytest.mark.parametrize(
    "name",
    [
        "52-54-00-22-00",
        "01-52-54-00-22-00-01-02",
        "20-01-" + "52-54-00-22-00-01",
        "C0A801CD1",
        "C0A801CG",
        "b8945908-d6a6-41a9-611d-74a6ab80b83",
        "default.",
        "default..amd64",
        "default-amd64-",
        "defaults",
        "default.amd64\n",
        "default-" + "x" * 10_240,
        "",
        "x/default",
    ],
)
@pytest.mark.seed("s21")
def test_unknown_shapes_mean_nothing(name: str) -> None:
    for prefix, _, _ in PREFIXES:
        assert wanted(prefix + name, {}) is None


@pytest.mark.parametrize(
    ("address", "text"),
    [("192.168.1.205", "C0A801CD"), ("10.0.0.1", "0A000001"), ("fd00::1", "")],
)
def test_an_ipv4_address_is_written_in_hexadecimal(address: str, text: str) -> None:
    assert hexadecimal(address) == text


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("ubuntu/amd64/generic/trusty/release/boot-kernel", KERNEL),
        ("snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-initrd", RAMDISK),
        ("ubuntu/amd64/generic/trusty/release/squashfs", FILE),
        ("syslinux/menu.c32", FILE),
    ],
)
def test_files_of_boot_resources_are_told_by_their_last_name(path: str, stage: str) -> None:
    assert static(path) == Wanted(stage, path)


@given(st.text(alphabet="pxelinux.cfg/default-01AC:", max_size=60))
def test_no_path_makes_the_grammar_fail(path: str) -> None:
    wanted(path, {})


def test_the_first_ipxe_script_may_name_the_card_in_its_query() -> None:
    found = wanted("boot.ipxe", {"mac": "52-54-00-22-00-01"})
    assert found == Wanted(SCRIPT, "ipxe/52-54-00-22-00-01", MAC, language="ipxe")


def test_a_query_that_names_no_card_is_refused() -> None:
    with pytest.raises(Invalid, match="not a MAC address"):
        wanted("boot.ipxe", {"mac": "${net0/mac}"})


def test_a_kernels_key_shows_neither_in_its_name_nor_in_its_repr() -> None:
    found = wanted("boot/secret-key-123/kernel", {})
    assert found is not None
    assert (found.stage, found.name, found.key) == (KERNEL, "kernel", "secret-key-123")
    assert "secret" not in repr(found)


def test_images_may_lie_in_folders() -> None:
    assert wanted("images/debian/12.qcow2", {}) == Wanted(IMAGE, "debian/12.qcow2")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "images/",
        "boot/short/kernel",
        "boot/secret-key-123/vmlinuz",
        "boot/secret-key-123/kernel/x",
        "grub/x86_64-efi/command.lst",
        "ipxe/52-54-00-22-00",
        "xipxe/52-54-00-22-00-01",
        "etc/passwd",
    ],
)
def test_other_names_mean_nothing(path: str) -> None:
    assert wanted(path, {}) is None
