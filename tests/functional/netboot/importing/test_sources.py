"""Packages, netboot trees and local folders as sources of an import."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import ImageError, Invalid, NotFound
from netboot.archives.member import BadArchive
from netboot.importing import uploads
from netboot.importing.source import Known, take
from netboot.importing.sources.local import LocalFiles
from netboot.importing.sources.netboot import NetbootTrees
from netboot.importing.sources.packages import Packages

SHIM = "usr/lib/shim/shimx64.efi.signed"
GRUB = "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
UEFI = "bootloader/uefi/amd64"


def _deb(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    raw = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("data.tar.xz", out.getvalue())):
        raw += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        raw += content + b"\n" * (len(content) % 2)
    return raw


def _rpm(**files: str) -> bytes:
    payload = b""
    for number, (name, content) in enumerate([*files.items(), ("TRAILER!!!", "")], 1):
        raw = f"./{name}".encode() if content else name.encode()
        mode = 0o100644 if content else 0
        fields = (number, mode, 0, 0, 1, 0, len(content), 8, 1, 0, 0, len(raw) + 1, 0)
        payload += b"070701" + b"".join(b"%08x" % field for field in fields) + raw + b"\0"
        payload += bytes(-len(payload) % 4) + content.encode()
        payload += bytes(-len(payload) % 4)
    header = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 0, 0)
    return b"\xed\xab\xee\xdb\x03\x00\x00\x00" + bytes(88) + header + header + payload


@pytest.mark.seed("s65")
def test_shim_and_grub_of_two_packages_come_into_one_folder_with_checksums(
    mirror: Any, fetch: Callable[..., Any], imported: Any
) -> None:
    mirror.files |= {"/shim.deb": _deb(**{SHIM: "shim"}), "/grub.deb": _deb(**{GRUB: "grub"})}
    source = Packages("loaders", [f"{mirror.url}/shim.deb", f"{mirror.url}/grub.deb"], fetch())
    known: dict[str, Known] = {}
    assert imported(source, known) == {
        f"{UEFI}/bootx64.efi": b"shim",
        f"{UEFI}/grubx64.efi": b"grub",
    }
    assert known[f"{UEFI}/grubx64.efi"].sha256 == hashlib.sha256(b"grub").hexdigest()
    mirror.asked.clear()
    assert imported(source, known) == {}
    assert mirror.paths("GET") == []
    mirror.files["/grub.deb"] = _deb(**{GRUB: "new grub"})
    assert imported(source, known) == {f"{UEFI}/grubx64.efi": b"new grub"}


@pytest.mark.seed("s65")
def test_an_rpm_gives_its_loaders_under_both_names_and_nothing_else(
    fetch: Callable[..., Any], imported: Any, tmp_path: Path
) -> None:
    folder = "boot/efi/EFI/redhat"
    path = tmp_path / "shim.rpm"
    files = {f"{folder}/shim.efi": "shim", f"{folder}/grubx64.efi": "grub", "etc/other": "other"}
    path.write_bytes(_rpm(**files))
    known: dict[str, Known] = {}
    source = Packages("loaders", [str(path)], fetch())
    assert imported(source, known) == {
        f"{UEFI}/bootx64.efi": b"shim",
        f"{UEFI}/shim.efi": b"shim",
        f"{UEFI}/grubx64.efi": b"grub",
    }
    assert imported(source, known) == {}


def test_a_package_is_pinned_by_its_checksum(
    mirror: Any, fetch: Callable[..., Any], imported: Any
) -> None:
    raw = _deb(**{SHIM: "shim"})
    mirror.files["/shim.deb"] = raw
    digest = hashlib.sha256(raw).hexdigest()
    pinned = Packages("loaders", [f"{mirror.url}/shim.deb#sha256={digest}"], fetch())
    assert imported(pinned, {}) == {f"{UEFI}/bootx64.efi": b"shim"}
    mirror.files["/shim.deb"] = _deb(**{SHIM: "evil"})
    with pytest.raises(ImageError, match="the source names another one"):
        imported(pinned, {})
    with pytest.raises(Invalid, match="64 hexadecimal"):
        Packages("loaders", [f"{mirror.url}/shim.deb#sha256=12"], fetch())


def test_a_package_without_loaders_or_whole_content_is_named(
    mirror: Any, fetch: Callable[..., Any], imported: Any
) -> None:
    url = f"{mirror.url}/x.deb"
    for raw, error in (
        (_deb(**{"usr/bin/x": "x"}), ImageError),
        (_deb(**{SHIM: "shim"})[:-40], BadArchive),
        (b"<html>Welcome</html>", BadArchive),
    ):
        mirror.files["/x.deb"] = raw
        with pytest.raises(error, match=r"/x\.deb (has none|was not taken)"):
            imported(Packages("loaders", [url], fetch()), {})
    with pytest.raises(NotFound, match="missing"):
        imported(Packages("loaders", [f"{mirror.url}/missing.deb"], fetch()), {})
    with pytest.raises(ImageError, match=r"/no/such\.deb could not be read"):
        imported(Packages("loaders", ["/no/such.deb"], fetch()), {})


def _tree(release: str, arch: str) -> str:
    return f"/dists/{release}/main/installer-{arch}/current/images/"


@pytest.fixture
def trees(mirror: Any, fetch: Callable[..., Any]) -> Callable[..., NetbootTrees]:
    for release in ("xenial", "trusty"):
        for arch in ("amd64", "i386"):
            folder = f"{_tree(release, arch)}netboot/ubuntu-installer/{arch}/"
            for name in ("linux", "initrd.gz", "pxelinux.0"):
                mirror.files[folder + name] = f"{name} {release} {arch}".encode()

    def make(**settings: Any) -> NetbootTrees:
        return NetbootTrees(
            "installers",
            f"{mirror.url}/dists/",
            fetch(**settings),
            os="ubuntu",
            installer="ubuntu-installer",
            arches=("amd64", "i386"),
            releases=lambda: ("xenial", "trusty"),
            current_release=lambda: "xenial",
            label="installer",
        )

    return make


@pytest.mark.seed("s41", "s48")
def test_netboot_installers_are_images_with_kernel_and_initrd_only(
    mirror: Any, trees: Any, imported: Any
) -> None:
    known: dict[str, Known] = {}
    wanted = {
        f"ubuntu/{arch}/generic/{release}/installer/{name}": f"{file} {release} {arch}".encode()
        for arch in ("amd64", "i386")
        for release in ("xenial", "trusty")
        for name, file in (("boot-kernel", "linux"), ("boot-initrd", "initrd.gz"))
    }
    wanted["bootloader/pxe/i386/pxelinux.0"] = b"pxelinux.0 xenial amd64"
    assert imported(trees(), known) == wanted
    mirror.asked.clear()
    assert imported(trees(), known) == {}
    assert [path for path in mirror.paths() if not path.endswith("SHA256SUMS")] == []


@pytest.mark.seed("s49")
@pytest.mark.parametrize("command", [(), ("curl", "--fail", "--silent", "-O")])
@pytest.mark.parametrize("head", [True, False])
def test_a_netboot_tree_without_pxelinux_still_gives_its_images(
    mirror: Any, trees: Any, imported: Any, command: tuple[str, ...], head: bool
) -> None:
    mirror.head = head
    for path in [path for path in mirror.files if path.endswith("pxelinux.0")]:
        del mirror.files[path]
    found = imported(trees(download=command), {})
    assert len(found) == 8
    assert not [path for path in found if "bootloader" in path]


@pytest.mark.seed("s45")
def test_a_netboot_tree_without_an_initrd_fails_by_name(
    mirror: Any, trees: Any, imported: Any
) -> None:
    del mirror.files[f"{_tree('trusty', 'i386')}netboot/ubuntu-installer/i386/initrd.gz"]
    with pytest.raises(NotFound, match=r"/trusty/.*/i386/initrd\.gz could not be fetched"):
        imported(trees(), {})


def test_checksums_of_a_netboot_tree_save_asking_for_its_files(
    mirror: Any, trees: Any, imported: Any
) -> None:
    known: dict[str, Known] = {}
    for release in ("xenial", "trusty"):
        for arch in ("amd64", "i386"):
            inside = f"netboot/ubuntu-installer/{arch}/"
            images = _tree(release, arch)
            mirror.files[f"{images}SHA256SUMS"] = "".join(
                f"{hashlib.sha256(mirror.files[images + inside + name]).hexdigest()}  "
                f"./{inside}{name}\n"
                for name in ("linux", "initrd.gz", "pxelinux.0")
            ).encode()
    assert len(imported(trees(), known)) == 9
    mirror.asked.clear()
    assert imported(trees(), known) == {}
    assert {path.rpartition("/")[2] for path in mirror.paths("GET")} == {"SHA256SUMS"}
    mirror.files[f"{_tree('xenial', 'amd64')}netboot/ubuntu-installer/amd64/linux"] = b"evil"
    with pytest.raises(ImageError, match="should have"):
        imported(trees(), {})


IMAGE = "ubuntu/amd64/generic/noble/custom"


def test_images_given_by_hand_are_a_source(imported: Any, tmp_path: Path) -> None:
    kernel, root = tmp_path / "vmlinuz", tmp_path / "root.img"
    kernel.write_bytes(b"kernel")
    root.write_bytes(b"hsqs root")
    folder = tmp_path / "uploads"
    source = LocalFiles("uploads", folder, optional=True)
    known: dict[str, Known] = {}
    assert imported(source, known) == {}
    assert uploads.add(folder, IMAGE, kernel=kernel, root=root) == [
        f"{IMAGE}/boot-kernel",
        f"{IMAGE}/squashfs",
    ]
    assert imported(source, known) == {
        f"{IMAGE}/boot-kernel": b"kernel",
        f"{IMAGE}/squashfs": b"hsqs root",
    }
    assert imported(source, known) == {}
    root.write_bytes(b"raw root")
    uploads.add(folder, IMAGE, initrd=kernel, root=root)
    found = {entry.path for entry in source.entries(known)}
    assert found == {f"{IMAGE}/boot-initrd", f"{IMAGE}/root-image"}
    assert imported(source, known)[f"{IMAGE}/root-image"] == b"raw root"


def test_an_upload_that_cannot_be_is_refused(tmp_path: Path) -> None:
    folder, kernel = tmp_path / "uploads", tmp_path / "vmlinuz"
    kernel.write_bytes(b"kernel")
    for image in ("../../etc/x/y", "a/b", "ubuntu/amd64/generic/noble/x y", ""):
        with pytest.raises(Invalid):
            uploads.add(folder, image, kernel=kernel)
    with pytest.raises(Invalid, match="would be empty"):
        uploads.add(folder, IMAGE)
    with pytest.raises(Invalid, match="is not a file"):
        uploads.add(folder, IMAGE, kernel=tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for strange in ("pipe", "\udcff", "n" * 10_000, "new\nline", "vmlinuz/x"):
        for given in ({"kernel": tmp_path / strange}, {"root": tmp_path / strange}):
            with pytest.raises(Invalid, match="is not a file"):
                uploads.add(folder, IMAGE, **given)
    assert not folder.exists()


def test_files_of_an_image_that_is_exchanged_meanwhile_are_not_mixed(tmp_path: Path) -> None:
    folder, file = tmp_path / "uploads", tmp_path / "file"
    file.write_bytes(b"old")
    uploads.add(folder, IMAGE, kernel=file, initrd=file)
    entries = list(LocalFiles("uploads", folder).entries({}))
    take(entries[0], io.BytesIO())
    file.write_bytes(b"new")
    uploads.add(folder, IMAGE, kernel=file, initrd=file)
    with pytest.raises(ImageError, match="exchanged after it was listed"):
        take(entries[1], io.BytesIO())


def test_strays_in_a_local_folder_are_passed_by(imported: Any, tmp_path: Path) -> None:
    folder, secret = tmp_path / "images", tmp_path / "secret"
    secret.write_bytes(b"secret")
    image = folder / IMAGE
    image.mkdir(parents=True)
    (image / "boot-kernel").write_bytes(b"kernel")
    (image / "boot-initrd").symlink_to("boot-kernel")
    (image / "squashfs").symlink_to(secret)
    (image / ".hidden").write_bytes(b"x")
    (image / "bad name").write_bytes(b"x")
    (image / "deeper").mkdir()
    (image / "deeper/file").write_bytes(b"x")
    (folder / "README").write_bytes(b"x")
    (folder / ".partial").mkdir()
    os.mkfifo(image / "fifo")
    assert imported(LocalFiles("mine", folder), {}) == {
        f"{IMAGE}/boot-kernel": b"kernel",
        f"{IMAGE}/boot-initrd": b"kernel",
    }
    with pytest.raises(ImageError, match="has no folder"):
        imported(LocalFiles("mine", tmp_path / "none"), {})
