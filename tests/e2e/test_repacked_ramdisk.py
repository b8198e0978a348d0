"""A kernel boots ramdisks that were unpacked, changed and packed again, in every packing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ramdisk import cpio, packing
from ramdisk.repack import repack
from ramdisk.unpack import unpack
from tests.e2e import chains
from tests.unit.ramdisk.samples import MICROCODE, PACK

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

INIT = """#!/bin/busybox sh
echo "RAMDISK SAYS: $(/bin/busybox cat /added) $(/bin/echo linked)"
/bin/busybox ls /kernel/x86
/bin/busybox poweroff -f
"""


def archive(folder: Path) -> bytes:
    """A ramdisk as ``drophammer ramdisk build`` writes it, console and all."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", folder / "bin/busybox")
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    with (folder.parent / "archive").open("wb") as out:
        cpio.write_archive(folder, out)
    return (folder.parent / "archive").read_bytes()


@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", packing.KINDS)
def test_a_kernel_boots_what_was_unpacked_changed_and_repacked(tmp_path: Path, kind: str) -> None:
    kernel = chains.kernel()
    initrd, again = tmp_path / "initrd", tmp_path / "again"
    initrd.write_bytes(MICROCODE + PACK[kind](archive(tmp_path / "tree")))
    unpack(initrd, tmp_path / "out", devices=True)
    root = tmp_path / "out/root"
    (root / "added").write_text(f"packed with {kind}\n")
    (root / "bin/echo").hardlink_to(root / "bin/busybox")
    repack(tmp_path / "out", again)
    serial = tmp_path / "serial"
    subprocess.run(
        [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-vga", "none", "-M", "pc,graphics=off", "-accel", "tcg,thread=multi"),
            *("-cpu", "max", "-m", "256", "-no-reboot", "-kernel", kernel, "-initrd", again),
            *("-append", "console=ttyS0 no_timer_check panic=5", "-serial", f"file:{serial}"),
        ],
        check=True,
        timeout=90,
    )
    said = serial.read_text(errors="replace")
    assert f"RAMDISK SAYS: packed with {kind} linked" in said, said[-3000:]
    assert "GenuineIntel.bin" in said
