"""Names in the tree of boot resources: what is one, what is refused and where."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from drophammer.errors import Invalid
from netboot.resources import names, targets
from netboot.resources.index import FileEntry, Index
from netboot.resources.names import ImageId

XENIAL = "ubuntu/amd64/generic/xenial/daily"


@pytest.mark.seed("s9")
def test_an_image_is_five_names_in_this_order() -> None:
    image = ImageId.parse("ubuntu/arm64/xgene-uboot-mustang/trusty/release")
    assert (image.os, image.arch, image.subarch) == ("ubuntu", "arm64", "xgene-uboot-mustang")
    assert (image.release, image.label) == ("trusty", "release")
    assert str(image) == "ubuntu/arm64/xgene-uboot-mustang/trusty/release"


@pytest.mark.seed("s9")
def test_lists_ignore_what_does_not_lie_at_that_depth() -> None:
    entry = FileEntry("0" * 64, 1, 1, "1", "mirror")
    paths = [
        f"{XENIAL}/squashfs",
        f"{XENIAL}/boot-kernel",
        f"{XENIAL}/deeper/boot-kernel",
        "ubuntu/amd64/generic/xenial/boot-kernel",
        "stray",
        "bootloader/pxe/i386/pxelinux.0",
        "bootloader/uefi/amd64/grub/x86_64/a.mod",
        f"{XENIAL}/.hidden",
        "snapshot-20261121-101500/amd64/generic/xenial/daily/squashfs",
    ]
    [image] = Index(dict.fromkeys(paths, entry)).images()
    assert str(image.id) == XENIAL
    assert list(image.files) == ["boot-kernel", "squashfs"]


@pytest.mark.seed("s5")
@pytest.mark.parametrize(
    ("part", "offset"),
    [
        ('ga"16', 2),
        ("ga'16", 2),
        ("ga\n16", 2),
        ("ga>16", 2),
        ("..", 0),
        (".", 0),
        ("ga\0", 2),
        ("g\u00e4", 1),
        ("ga\u2028", 2),
        ("$" + "{x}", 0),
        ("ga<target>", 2),
        ("a b", 1),
        ("-a", 0),
    ],
)
@pytest.mark.parametrize("level", range(5))
def test_a_name_with_anything_else_in_it_is_refused_with_its_place(part, offset, level) -> None:
    parts = XENIAL.split("/")
    position = sum(len(before) + 1 for before in parts[:level]) + offset
    parts[level] = part
    with pytest.raises(Invalid, match=f" position {position} "):
        ImageId.parse("/".join(parts))


@pytest.mark.parametrize(
    "text", ["", "/", "a/b/c/d", "a/b/c/d/e/f", "a//c/d/e", "a/b/c/d/", f"{'a' * 65}/b/c/d/e"]
)
def test_what_is_not_five_names_is_refused(text) -> None:
    with pytest.raises(Invalid):
        ImageId.parse(text)


@pytest.mark.parametrize(
    "name", ["boot", "current", "ipxe", "images", "grub", "syslinux", "snapshot-20261121-101500"]
)
def test_an_operating_system_cannot_hide_what_machines_ask_for(name) -> None:
    with pytest.raises(Invalid, match="cannot be called"):
        ImageId.parse(f"{name}/a/b/c/d")


@given(some.text())
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for parse in (ImageId.parse, names.place, names.parse_url):
        try:
            found = parse(text)
        except Invalid:
            continue
        assert '"' not in str(found)
        assert ".." not in text.split("/")


@given(some.text(max_size=30))
def test_no_name_leads_out_of_a_target_block(part: str) -> None:
    try:
        image = ImageId.parse(f"ubuntu/amd64/{part}/xenial/daily")
    except Invalid:
        return
    block = targets.configuration([(targets.target_name("iqn.2004-05.com.x:y", image), "/a")])
    assert block.count("\n") == 6
    assert block.count("<") == block.count(">") == 2
    assert block.count('"') == 2


def test_urls_are_parsed_and_made() -> None:
    pinned = names.pinned_url("snapshot-20261121-101500", f"{XENIAL}/squashfs")
    assert pinned == f"resource:///snapshot-20261121-101500/{XENIAL}/squashfs"
    assert names.parse_url(pinned) == ("snapshot-20261121-101500", f"{XENIAL}/squashfs")
    assert names.parse_url(f"resource:///{XENIAL}/squashfs") == (None, f"{XENIAL}/squashfs")


def test_snapshots_are_named_after_their_second_and_always_in_order() -> None:
    moment = datetime.datetime(2026, 11, 21, 10, 15, 59, tzinfo=datetime.UTC)
    first = names.snapshot_name(moment, None)
    assert first == "snapshot-20261121-101559"
    assert names.snapshot_name(moment, first) == "snapshot-20261121-101600"
    assert names.snapshot_name(moment, "snapshot-20991231-235959") == "snapshot-21000101-000000"
    assert names.snapshot_time(first) == moment


@pytest.mark.parametrize(
    "prefix", ["", "iqn.x", "IQN.2004-05.a:b", "iqn.2004-05.a:b>", "iqn.2004-05.a:\n"]
)
def test_a_prefix_that_begins_no_iscsi_name_is_refused(prefix) -> None:
    with pytest.raises(Invalid, match="target_prefix"):
        targets.check_prefix(prefix)


def test_a_prefix_may_be_another_one() -> None:
    prefix = targets.check_prefix("iqn.2026-11.org.example:lab")
    name = targets.target_name(prefix, ImageId.parse(XENIAL))
    assert name == "iqn.2026-11.org.example:lab:ephemeral-ubuntu-amd64-generic-xenial-daily"


def test_targets_are_sorted_and_there_once() -> None:
    text = targets.configuration([("iqn.b", "/b"), ("iqn.a", "/a"), ("iqn.b", "/b")])
    assert [line for line in text.splitlines() if line.startswith("<t")] == [
        "<target iqn.a>",
        "<target iqn.b>",
    ]
