"""Configuration files of GRUB for UEFI machines, made on request (see docs/booting.md).

Pure: a boot spec in, text out. GRUB reads these files like a shell; each value
stands in single quotes, in which nothing has a meaning, and comes out of
``grammar.check_spec``, which lets no quote in.
"""

from __future__ import annotations

from collections.abc import Sequence

from drophammer.bootspec import BootSpec
from netboot.boot.enlist import EnlistBoot
from netboot.boot.grammar import check_spec, needs_tftp
from netboot.paths import DEFAULT, GRUB_START, KERNEL, RAMDISK, boot_file

TRIES = 3
LAST_PAUSE_SECONDS = 30
DISK_LOADERS = (
    *(f"/EFI/{name}/shimx64.efi" for name in ("debian", "ubuntu", "redhat", "centos", "fedora")),
    "/EFI/opensuse/shim.efi",
    # Installed without Secure Boot.
    *(f"/EFI/{name}/grubx64.efi" for name in ("debian", "ubuntu")),
    "/EFI/Microsoft/Boot/bootmgfw.efi",
    "/EFI/BOOT/BOOTX64.EFI",
    *(f"/EFI/{name}/shimaa64.efi" for name in ("debian", "ubuntu")),
    "/EFI/BOOT/BOOTAA64.EFI",
)
"""Where installed systems keep their loader, the path for removable media last, of each kind."""


def start() -> str:
    """grub/grub.cfg: the same for all machines, because GRUB 2.06 asks only for this name.

    Its second step names the machine: GRUB writes the MAC address with colons. The third
    is for machines that nobody knows; for others it is never found.
    """
    name = GRUB_START.rpartition("/")[2]
    return _file(
        "set pager=0",
        f"for try in {_rounds()}; do",
        f'  source "$prefix/{name}-$net_default_mac"',
        f'  source "$prefix/{name}-{DEFAULT}-$grub_cpu"',
        "  sleep 3",
        "done",
        "echo 'Drophammer has no file for this network card or does not answer.'",
        "echo 'Going on with the next boot device.'",
        "exit",
    )


def boot(spec: BootSpec, mac: str) -> str:
    """The file that boots ``spec`` by TFTP. Raises Invalid for values it cannot hold.

    ``mac`` is the card that GRUB asked for, with colons. Ends in a restart after a
    pause when the files cannot be had.
    """
    check_spec(spec)
    needs_tftp(spec)
    words = [*spec.parameters, f"BOOTIF=01-{mac.replace(':', '-')}"]
    return _file(
        f"echo 'Drophammer: node {spec.node_uuid} starts its {spec.purpose} ramdisk.'",
        *_linux(boot_file(spec.key, KERNEL), boot_file(spec.key, RAMDISK), _quoted(words)),
        f"echo 'Drophammer: node {spec.node_uuid} gives up; restart in {LAST_PAUSE_SECONDS} s.'",
        *_restart(),
    )


def enlist(found: EnlistBoot) -> str:
    """The file of a machine that nobody knows. Raises Invalid for values it cannot hold.

    GRUB itself puts its network card in, which is none of ours.
    """
    found.check()
    words = f'{_quoted(found.parameters)} "BOOTIF=01-$net_default_mac"'
    return _file(
        "echo 'Drophammer: nobody knows this machine yet; it starts to make itself known.'",
        *_linux(found.kernel, found.ramdisk, words),
        f"echo 'Drophammer: this machine gives up; restart in {LAST_PAUSE_SECONDS} s.'",
        *_restart(),
    )


def _linux(kernel: str, ramdisk: str, words: str) -> tuple[str, ...]:
    return (
        f"for try in {_rounds()}; do",
        f"  if linux '/{kernel}' {words}; then",
        f"    if initrd '/{ramdisk}'; then",
        "      boot",
        "    fi",
        "    echo 'Drophammer: the ramdisk could not be had.'",
        "  else",
        "    echo 'Drophammer: the kernel could not be had.'",
        "  fi",
        "  sleep 3",
        "done",
    )


def _restart() -> tuple[str, ...]:
    return (f"sleep {LAST_PAUSE_SECONDS}", "reboot")


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def disk() -> str:
    """The file of a known machine that has nothing to boot from the network.

    GRUB 2.06 can only leave with success, upon which firmware need not try its next
    boot option and often shows its menu instead (UEFI 2.10, section 3.1.7). So it
    starts the disk's own loader first.
    """
    return _file(
        "echo 'Drophammer: nothing to boot from the network, on to the disk.'",
        f"for loader in {' '.join(DISK_LOADERS)}; do",
        '  if search --no-floppy --set=root --file "$loader"; then',
        '    chainloader "$loader"',
        "    boot",
        "  fi",
        "done",
        "exit",
    )


def _rounds() -> str:
    return " ".join(str(number + 1) for number in range(TRIES))


def _file(*lines: str) -> str:
    return "\n".join((*lines, ""))
