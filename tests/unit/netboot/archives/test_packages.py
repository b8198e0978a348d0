"""Real packages, unpacked as the distributions' own tools do it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netboot.archives import package
from netboot.importing.sources import loadernames

SPEC = """
Name: shim-grub
Version: 1
Release: 1
Summary: s
License: l
BuildArch: noarch
%description
d
%install
d=%{buildroot}/boot/efi/EFI/fedora; mkdir -p $d
head -c 70001 /dev/urandom > $d/shimx64.efi
head -c 50002 /dev/urandom > $d/grubx64.efi
ln $d/shimx64.efi $d/shim.efi
ln -s grubx64.efi $d/link.efi
: > $d/empty
%files
/boot
"""


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(folder))
    }


@pytest.mark.seed("s65")
@pytest.mark.parametrize("name", ["shim-signed", "grub-efi-amd64-signed", "pxelinux"])
def test_a_debian_package_is_unpacked_as_dpkg_does(
    debian: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    path = debian(name)
    subprocess.run(["dpkg", "-x", str(path), str(tmp_path)], check=True)
    with path.open("rb") as file:
        assert package.files(file, lambda _: True) == _tree(tmp_path)


@pytest.mark.seed("s65")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("shim-signed", {"uefi/amd64/bootx64.efi"}),
        ("grub-efi-amd64-signed", {"uefi/amd64/grubx64.efi"}),
        ("pxelinux", {"pxe/i386/pxelinux.0", "pxe/i386/lpxelinux.0"}),
        (
            "syslinux-common",
            {f"pxe/i386/{name}.c32" for name in ("chain", "ifcpu64", "ldlinux", "libutil")},
        ),
    ],
)
def test_the_loaders_of_debian_have_their_places(
    debian: Callable[[str], Path], name: str, wanted: set[str]
) -> None:
    with debian(name).open("rb") as file:
        found = package.files(file, lambda member: bool(loadernames.paths(member)))
    paths = {path for member in found for path in loadernames.paths(member)}
    assert {f"bootloader/{path}" for path in wanted} <= paths
    assert all(found.values())


@pytest.mark.seed("s65")
@pytest.mark.skipif(
    not shutil.which("rpmbuild") or not shutil.which("rpm2cpio"), reason="needs rpm"
)
@pytest.mark.parametrize("payload", ["w9.gzdio", "w6.xzdio", "w19.zstdio", "w9.bzdio", "w.ufdio"])
def test_an_rpm_is_unpacked_as_rpm2cpio_and_cpio_do(tmp_path: Path, payload: str) -> None:
    spec = tmp_path / "shim.spec"
    spec.write_text(SPEC)
    argv = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}/build"]
    payloads = ["--define", f"_binary_payload {payload}", "--define", "_build_id_links none"]
    subprocess.run([*argv, *payloads, str(spec)], check=True, capture_output=True)
    (path,) = (tmp_path / "build/RPMS").rglob("*.rpm")
    out = tmp_path / "out"
    out.mkdir()
    stream = subprocess.run(["rpm2cpio", str(path)], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], cwd=out, input=stream, check=True)
    with path.open("rb") as file:
        found = package.files(file, lambda _: True)
        assert found == _tree(out)
        wanted = package.files(file, lambda name: bool(loadernames.paths(name)))
    assert sorted(os.path.basename(name) for name in wanted) == [
        "grubx64.efi",
        "shim.efi",
        "shimx64.efi",
    ]
    assert found["boot/efi/EFI/fedora/shim.efi"] == found["boot/efi/EFI/fedora/shimx64.efi"]


def test_links_are_followed_inside_of_the_archive_only(write: Any) -> None:
    archive = write.cpio(
        write.Made("a/link", b"file", write.LINK),
        write.Made("a/out", b"/etc/passwd", write.LINK),
        write.Made("a/up", b"../b/file", write.LINK),
        write.Made("a/loop", b"loop", write.LINK),
        write.Made("a/one", b"", inode=77, links=2),
        write.Made("a/two", b"shared", inode=77, links=2),
        write.Made("a/file", b"here"),
        write.Made("b/file", b"there"),
    )
    found = package.files(io.BytesIO(write.rpm(archive)), lambda _: True)
    assert found == {
        "a/link": b"here",
        "a/up": b"there",
        "a/one": b"shared",
        "a/two": b"shared",
        "a/file": b"here",
        "b/file": b"there",
    }
