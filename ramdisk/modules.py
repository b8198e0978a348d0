"""Which kernel modules go into the ramdisk, with everything they need.

``modprobe`` computes the closure from the kernel package itself. A module that a
kernel flavour lacks or has built in is left out without a word; a flavour that
then lacks a network driver says so at boot.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drophammer.errors import NotFound

#: Needed by name, not found through a device: loaded first, from /etc/modules.
ALWAYS = ("af_packet", "button", "evdev")
#: Found through the devices that are there.
DRIVERS = (
    "virtio_pci",
    "virtio_net",
    "virtio_blk",
    "virtio_scsi",
    "virtio_rng",
    "nvme",
    "sd_mod",
    "efivarfs",
    "e1000",
    "e1000e",
    "igb",
    "igc",
    "ixgbe",
    "i40e",
    "ice",
    "tg3",
    "bnx2x",
    "bnxt_en",
    "r8169",
    "vmxnet3",
    "ena",
    "hv_netvsc",
    "hv_storvsc",
    "ahci",
    "megaraid_sas",
    "mpt3sas",
    "smartpqi",
    "hpsa",
    "vmw_pvscsi",
    "ipmi_si",
    "ipmi_devintf",
)
#: A root file system over iSCSI, and the machine's own disk as a target; loaded when asked for.
ISCSI = (
    *("iscsi_tcp", "squashfs", "overlay", "ext4"),
    *("configfs", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
)
#: For real machines only. Every emulated PC has the IDE controller, mostly with nothing on
#: it, and loading its stack would cost each of them a good part of a second; the Mellanox
#: drivers are larger than all the others together.
NOT_IN_CLOUD = ("ata_piix", "mlx4_en", "mlx5_core")
#: Have no device of their own that would bring them in.
ALWAYS_IF_THERE = ("ipmi_devintf", "ipmi_si")


def copy_modules(kernel_root: Path, release: str, root: Path, *, iscsi: bool) -> list[str]:
    """Copy the wanted modules of ``release`` with their closure; names to load first."""
    _run(["depmod", "-b", str(kernel_root), release])
    source, target = kernel_root / "lib/modules" / release, root / "lib/modules" / release
    real = () if "-cloud-" in release else NOT_IN_CLOUD
    wanted = (*ALWAYS, *DRIVERS, *real, *(ISCSI if iscsi else ()))
    paths = {path for name in wanted for path in _closure(kernel_root, release, name)}
    for path in sorted(paths):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(source / name, target / name)
    _run(["depmod", "-b", str(root), release])
    have = {path.name.partition(".")[0] for path in paths}
    return [name for name in (*ALWAYS, *ALWAYS_IF_THERE) if name in have]


def _closure(kernel_root: Path, release: str, name: str) -> list[Path]:
    command = ["modprobe", "-d", str(kernel_root), "-S", release, "--show-depends", name]
    said = _run(command, accept_failure=True)
    lines = [line.split() for line in said.splitlines()]
    return [Path(words[1]) for words in lines if words and words[0] == "insmod"]


def _run(command: Sequence[str], accept_failure: bool = False) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except FileNotFoundError:
        raise NotFound(f"the ramdisk is built with {command[0]} (package kmod)") from None
    if done.returncode != 0 and not accept_failure:
        raise NotFound(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
