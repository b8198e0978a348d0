"""A Debian kernel and the modules of the test image, from the unpacked package.

The modules are put into the order in which they can be loaded one by one, so
the image needs no module tools. Built-in drivers are simply not in the package.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from drophammer import errors
from ramdisk import packages

FLAVOURS = {"cloud": "linux-image-cloud-amd64", "generic": "linux-image-amd64"}
_VERSIONED = r"linux-image-\d[a-z0-9.+-]*-amd64"

# Disks, the file systems of a config drive with the character sets they ask
# for, and what reports the power button.
MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_scsi", "nvme", "ahci", "ata_piix", "sd_mod", "sr_mod"),
    *("nls_utf8", "nls_ascii", "nls_cp437", "nls_iso8859-1", "isofs", "fat", "vfat"),
    *("evdev", "button"),
)


def package(flavour: str) -> str:
    """The name of the kernel package of a flavour, ``cloud`` or ``generic``.

    Debian's names of kernel packages hold the version; another package depends on the newest.
    """
    if flavour not in FLAVOURS:
        raise errors.Invalid(f"{flavour!r} is no kernel flavour; known: {', '.join(FLAVOURS)}")
    for name in packages.dependencies(FLAVOURS[flavour]):
        if re.fullmatch(_VERSIONED, name):
            return name
    raise errors.NotFound(f"{FLAVOURS[flavour]} does not say which kernel it stands for")


def vmlinuz(root: Path) -> Path:
    """The kernel image below ``root``, where the package was unpacked."""
    return _only(root / "boot", "vmlinuz-*")


def modules_in_order(root: Path) -> list[Path]:
    """Files of ``MODULES`` and all they depend on, each after what it needs."""
    version = vmlinuz(root).name.removeprefix("vmlinuz-")
    folder = root / "lib/modules" / version
    try:
        done = subprocess.run(
            ["depmod", "-b", str(root), version], capture_output=True, text=True, timeout=300
        )
    except FileNotFoundError as error:
        raise errors.Unavailable("'depmod' is missing: install the package 'kmod'") from error
    if done.returncode != 0:
        raise errors.Unavailable(f"depmod failed: {done.stderr.strip()}")
    needs = parse_dependencies((folder / "modules.dep").read_text())
    return [folder / file for file in load_order(MODULES, needs)]


def parse_dependencies(text: str) -> dict[str, list[str]]:
    """modules.dep: each module file with the files it needs, nearest first."""
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {file: rest.split() for file, _, rest in lines}


def load_order(names: tuple[str, ...], needs: dict[str, list[str]]) -> list[str]:
    """Files of the named modules and of what they need, dependencies first, each once."""
    by_name = {_module_name(file): file for file in needs}
    order: list[str] = []
    for name in names:
        file = by_name.get(_module_name(name))
        if file is None:
            continue
        # modules.dep lists the whole closure, the innermost dependency last.
        for one in [*reversed(needs[file]), file]:
            if one not in order:
                order.append(one)
    return order


def _module_name(file: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", file.rpartition("/")[2]).replace("-", "_")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise errors.Unavailable(f"the kernel package holds {len(found)} files boot/{pattern}")
    return found[0]
