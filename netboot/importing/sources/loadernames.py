"""Which file of a package is which boot loader, and what firmware and shim ask for it as.

shim loads GRUB from the folder it came from itself, so both end up in one.
"""

from __future__ import annotations

import re

_BIOS = r"(chain|ifcpu64|ldlinux|libcom32|libutil|libmenu|menu|vesamenu|linux|reboot|poweroff)"
_EFI = r"boot/efi/EFI/[A-Za-z0-9_.-]+/"

# Member of a package -> where it belongs below bootloader/. For a name that several members
# have, the first line counts.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"usr/lib/PXELINUX/(l?pxelinux\.0)", (r"pxe/i386/\1",)),
    (rf"usr/lib/syslinux/modules/bios/{_BIOS}\.c32", (r"pxe/i386/\1.c32",)),
    (r"usr/share/syslinux/(l?pxelinux\.0)", (r"pxe/i386/\1",)),
    (rf"usr/share/syslinux/{_BIOS}\.c32", (r"pxe/i386/\1.c32",)),
    (r"usr/lib/shim/shimx64\.efi\.signed(\.latest)?", ("uefi/amd64/bootx64.efi",)),
    (r"usr/lib/shim/shimaa64\.efi\.signed(\.latest)?", ("uefi/arm64/bootaa64.efi",)),
    (
        r"usr/lib/grub/x86_64-efi-signed/grubnetx64\.efi\.signed(\.latest)?",
        ("uefi/amd64/grubx64.efi",),
    ),
    (
        r"usr/lib/grub/arm64-efi-signed/grubnetaa64\.efi\.signed(\.latest)?",
        ("uefi/arm64/grubaa64.efi",),
    ),
    # RPMs: shim.efi is what shim-signed of older releases calls it.
    (rf"{_EFI}shimx64\.efi", ("uefi/amd64/bootx64.efi", "uefi/amd64/shimx64.efi")),
    (rf"{_EFI}shim\.efi", ("uefi/amd64/bootx64.efi", "uefi/amd64/shim.efi")),
    (rf"{_EFI}shimaa64\.efi", ("uefi/arm64/bootaa64.efi", "uefi/arm64/shimaa64.efi")),
    (rf"{_EFI}(grubx64\.efi|mmx64\.efi)", (r"uefi/amd64/\1",)),
    (rf"{_EFI}(grubaa64\.efi|mmaa64\.efi)", (r"uefi/arm64/\1",)),
    (r"usr/lib/grub/powerpc-ieee1275/bootppc64\.bin", ("open-firmware/ppc64el/bootppc64.bin",)),
)
_COMPILED = tuple((re.compile(pattern), targets) for pattern, targets in RULES)


def paths(member: str) -> tuple[str, ...]:
    """The paths in a snapshot of a package's file; none when it is no boot loader."""
    for pattern, targets in _COMPILED:
        if found := pattern.fullmatch(member):
            return tuple(f"bootloader/{found.expand(target)}" for target in targets)
    return ()
