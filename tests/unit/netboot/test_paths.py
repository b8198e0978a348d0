"""Which names machines may ask for, and what each one means."""

from __future__ import annotations

import pytest

from drophammer.errors import Invalid
from netboot.paths import CONFIG, IMAGE, KERNEL, SCRIPT, Wanted, of_pxelinux, wanted

MAC = "52:54:00:22:00:01"

# What pxelinux asks for, in its order (syslinux doc/pxelinux.txt, "search for the config file").
PXELINUX_SEARCH = [
    "pxelinux.cfg/b8945908-d6a6-41a9-611d-74a6ab80b83d",
    "pxelinux.cfg/01-52-54-00-22-00-01",
    "pxelinux.cfg/AC160032",
    "pxelinux.cfg/AC16003",
    "pxelinux.cfg/AC1600",
    "pxelinux.cfg/AC160",
    "pxelinux.cfg/AC16",
    "pxelinux.cfg/AC1",
    "pxelinux.cfg/AC",
    "pxelinux.cfg/A",
    "pxelinux.cfg/default",
]


def test_of_pxelinuxs_search_only_the_network_cards_name_is_a_file() -> None:
    found = [name for name in PXELINUX_SEARCH if wanted(name, {})]
    assert found == ["pxelinux.cfg/01-52-54-00-22-00-01"]
    assert all(map(of_pxelinux, PXELINUX_SEARCH))


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("ipxe/52-54-00-22-00-01", SCRIPT),
        ("ipxe/52-54-00-22-00-01".upper().replace("IPXE", "ipxe"), SCRIPT),
        ("ipxe/52:54:00:22:00:01", SCRIPT),
        ("pxelinux.cfg/01-52-54-00-22-00-01", CONFIG),
        ("grub/grub.cfg-52:54:00:22:00:01", CONFIG),
        ("grub/grub.cfg-01-52-54-00-22-00-01", CONFIG),
    ],
)
def test_a_machine_is_named_by_its_network_card(path: str, stage: str) -> None:
    assert wanted(path, {}) == Wanted(stage, path, MAC)


def test_the_first_ipxe_script_may_name_the_card_in_its_query() -> None:
    found = wanted("boot.ipxe", {"mac": "52-54-00-22-00-01"})
    assert found == Wanted(SCRIPT, "ipxe/52-54-00-22-00-01", MAC)


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
