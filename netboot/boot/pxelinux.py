"""Configuration files of pxelinux, made on request (see "pxelinux" in docs/booting.md).

Pure: a boot spec in, text out. pxelinux takes a directive's line as it stands, so
every value comes out of ``grammar.check_spec``.
"""

from __future__ import annotations

from drophammer.bootspec import BootSpec
from netboot.boot.grammar import check_spec, needs_tftp
from netboot.paths import KERNEL, RAMDISK, boot_file


def boot(spec: BootSpec) -> str:
    """The file that boots ``spec`` by TFTP. Raises Invalid for values it cannot hold.

    IPAPPEND 2 adds BOOTIF=01-<mac> of the card that pxelinux used. When a file
    cannot be had, the machine restarts after a pause: nobody sits at its prompt.
    """
    check_spec(spec)
    needs_tftp(spec)
    return _file(
        f"SAY Drophammer: node {spec.node_uuid} starts its {spec.purpose} ramdisk.",
        "DEFAULT ramdisk",
        "PROMPT 0",
        "TIMEOUT 300",
        "ONTIMEOUT restart",
        "LABEL ramdisk",
        f"  LINUX {boot_file(spec.key, KERNEL)}",
        f"  INITRD {boot_file(spec.key, RAMDISK)}",
        f"  APPEND {' '.join(spec.parameters)}".rstrip(),
        "  IPAPPEND 2",
        "LABEL restart",
        "  COM32 reboot.c32",
    )


def disk() -> str:
    """The file of a known machine that has nothing to boot from the network.

    LOCALBOOT -1 reports failure to the BIOS, which then tries its next device;
    0 would make some BIOSes stop.
    """
    return _file(
        "SAY Drophammer: nothing to boot from the network, on to the disk.",
        "DEFAULT disk",
        "PROMPT 0",
        "LABEL disk",
        "  LOCALBOOT -1",
    )


def _file(*lines: str) -> str:
    return "\n".join((*lines, ""))
