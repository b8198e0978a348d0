"""Configuration files of pxelinux, made on request (see "pxelinux" in docs/booting.md).

Pure: a boot spec in, text out. pxelinux takes a directive's line as it stands, so
every value comes out of ``grammar.check_spec``.
"""

from __future__ import annotations

from collections.abc import Sequence

from drophammer.bootspec import BootSpec
from netboot.architecture import AMD64, I386, PPC64EL
from netboot.boot.enlist import EnlistBoot
from netboot.boot.grammar import check_spec, needs_tftp
from netboot.paths import KERNEL, RAMDISK, boot_file

NEXT, CHAIN, ZERO = "next", "chain", "zero"
_TO_DISK = {
    # Failure, upon which a BIOS tries its next device: the operator's boot order counts.
    NEXT: ("  LOCALBOOT -1",),
    # For a BIOS that takes a failure for the end: its first disk, whatever is on it.
    CHAIN: ("  COM32 chain.c32", "  APPEND hd0"),
    # For firmware without disks in chain.c32's sense, and clients that know only this one.
    ZERO: ("  LOCALBOOT 0",),
}
_NOBODY = "SAY Drophammer: nobody knows this machine yet; it starts to make itself known."
WAYS_TO_DISK = tuple(_TO_DISK)


def boot(spec: BootSpec, mac: str, arch: str = "") -> str:
    """The file that boots ``spec`` by TFTP. Raises Invalid for values it cannot hold.

    IPAPPEND 2 adds BOOTIF=01-<mac> of the card that pxelinux used. Petitboot, which reads
    these files on ppc64el, has no IPAPPEND: there ``mac`` is written out. When a file
    cannot be had, the machine restarts after a pause: nobody sits at its prompt.
    """
    check_spec(spec)
    needs_tftp(spec)
    words = list(spec.parameters)
    if arch == PPC64EL:
        words.append(f"BOOTIF=01-{mac.replace(':', '-')}")
    files = (boot_file(spec.key, KERNEL), boot_file(spec.key, RAMDISK))
    return _file(
        f"SAY Drophammer: node {spec.node_uuid} starts its {spec.purpose} ramdisk.",
        *_starting("ramdisk"),
        *_kernel("ramdisk", files, words, arch),
        *_restart(),
    )


def disk(way: str = NEXT) -> str:
    """The file of a known machine that has nothing to boot from the network."""
    return _file(
        "SAY Drophammer: nothing to boot from the network, on to the disk.",
        "DEFAULT disk",
        "PROMPT 0",
        "LABEL disk",
        *_TO_DISK[way],
    )


def enlist(boots: Sequence[EnlistBoot], *, choose: bool) -> str:
    """The file of a machine that nobody knows. Raises Invalid for values it cannot hold.

    With ``choose`` the loader did not say what the machine is: then ifcpu64.c32 asks the
    processor for amd64, else i386; a 32-bit machine for which there is nothing goes on to
    its next device. Otherwise the first of ``boots`` is for it.
    """
    known = {found.arch: found.check() for found in boots}
    if not choose or AMD64 not in known:
        first = boots[0]
        return _file(_NOBODY, *_starting(first.arch), *_enlist(first), *_restart())
    return _file(
        _NOBODY,
        *_starting("choose"),
        "LABEL choose",
        "  KERNEL ifcpu64.c32",
        f"  APPEND {AMD64} -- {I386}",
        *_enlist(known[AMD64]),
        *(_enlist(known[I386]) if I386 in known else (f"LABEL {I386}", *_TO_DISK[NEXT])),
        *_restart(),
    )


def _enlist(found: EnlistBoot) -> list[str]:
    files = (found.kernel, found.ramdisk)
    return _kernel(found.arch, files, found.parameters, found.arch)


def _kernel(label: str, files: tuple[str, str], words: Sequence[str], arch: str) -> list[str]:
    lines = [
        f"LABEL {label}",
        f"  LINUX {files[0]}",
        f"  INITRD {files[1]}",
        f"  APPEND {' '.join(words)}".rstrip(),
    ]
    return lines if arch == PPC64EL else [*lines, "  IPAPPEND 2"]


def _starting(label: str) -> tuple[str, ...]:
    return (f"DEFAULT {label}", "PROMPT 0", "TIMEOUT 300", "ONTIMEOUT restart")


def _restart() -> tuple[str, ...]:
    return ("LABEL restart", "  COM32 reboot.c32")


def _file(*lines: str) -> str:
    return "\n".join((*lines, ""))
