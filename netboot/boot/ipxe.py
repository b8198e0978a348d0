"""iPXE scripts, made on request (see "iPXE" in docs/booting.md).

Pure: a boot spec and addresses in, text out. iPXE runs a script line by line and
has no quoting, so every value comes out of ``grammar.check_spec``.
"""

from __future__ import annotations

from collections.abc import Sequence

from drophammer.bootspec import BootSpec
from netboot.architecture import AMD64, I386
from netboot.boot.enlist import EnlistBoot
from netboot.boot.grammar import check_spec, is_ours
from netboot.paths import DEFAULT, KERNEL, RAMDISK, boot_file, ipxe_script

TRIES = 5
PAUSE_SECONDS = 3
LAST_PAUSE_SECONDS = 30
# With the pause, the time that this service may take to be started anew.
ROUNDS = 10


def start(base_url: str) -> str:
    """The script that every machine gets first: it asks for the one of its network card.

    ``netX`` is the card that iPXE booted from. The others are tried after it, for
    machines that start from a card which is not registered; then the script for machines
    that nobody knows, which is never found for others.
    """
    # The URL after `chain` is expanded by iPXE; --replace leaves this script for good.
    ours = f"{base_url}/{ipxe_script('${netX/mac:hexhyp}')}"
    others = f"{base_url}/{ipxe_script('${net${card}/mac:hexhyp}')}"
    return _script(
        "set rounds:int32 0",
        ":round",
        f"chain --replace {ours} ||",
        "set card:int32 0",
        ":next",
        "isset ${net${card}/mac} || goto none",
        f"chain --replace {others} ||",
        "inc card",
        "goto next",
        ":none",
        f"chain --replace {base_url}/{ipxe_script(f'{DEFAULT}-${{buildarch}}')} ||",
        "inc rounds",
        f"iseq ${{rounds}} {ROUNDS} && goto leave ||",
        f"sleep {PAUSE_SECONDS}",
        "goto round",
        ":leave",
        f"echo Drophammer at {base_url} has no script for ${{netX/mac}} or does not answer.",
        "echo Going on with the next boot device.",
        "exit 1",
    )


def boot(spec: BootSpec, base_url: str) -> str:
    """The script that boots ``spec``. Raises Invalid for a value that no script may hold.

    A failed download is tried again some times; then the machine restarts after a
    pause, because nobody sits in front of it and the server may come back.
    """
    check_spec(spec)
    return _script(
        f"echo Drophammer: node {spec.node_uuid} starts its {spec.purpose} ramdisk.",
        *_linux(
            _url(spec, KERNEL, base_url),
            _url(spec, RAMDISK, base_url),
            spec.parameters,
            f"node {spec.node_uuid}",
        ),
    )


def enlist(boots: Sequence[EnlistBoot], base_url: str) -> str:
    """The script of a machine that nobody knows. Raises Invalid for values it cannot hold.

    iPXE for BIOS is always a 32-bit program, so it asks the processor which of two
    ``boots`` is for this machine.
    """
    known = {found.arch: found.check() for found in boots}
    choice = {AMD64, I386} <= set(known)
    lines = ["echo Drophammer: nobody knows this machine yet; it starts to make itself known."]
    if choice:
        lines += [f"cpuid --ext 29 && goto {AMD64} || goto {I386}"]
    for found in known.values():
        lines += [f":{found.arch}"] if choice else []
        files = (f"{base_url}/{found.kernel}", f"{base_url}/{found.ramdisk}")
        # Each ends in a restart, so that none runs on into the next.
        lines += _linux(*files, found.parameters, "this machine", f"-{found.arch}")
    return _script(*lines)


def _linux(
    kernel: str, ramdisk: str, words: Sequence[str], who: str, label: str = ""
) -> tuple[str, ...]:
    # EFI kernels look for the ramdisk under the name that initrd= gives.
    arguments = " ".join(("initrd=ramdisk", *words, "BOOTIF=01-${netX/mac:hexhyp}"))
    return (
        "set tries:int32 0",
        f":again{label}",
        "imgfree",
        "set part kernel",
        f"kernel --name kernel {kernel} {arguments} || goto failed{label}",
        "set part ramdisk",
        f"initrd --name ramdisk {ramdisk} || goto failed{label}",
        "set part start of the kernel",
        f"boot || goto failed{label}",
        f":failed{label}",
        "echo Drophammer: the ${part} failed: ${errno}",
        "inc tries",
        f"iseq ${{tries}} {TRIES} && goto leave{label} ||",
        f"sleep {PAUSE_SECONDS}",
        f"goto again{label}",
        f":leave{label}",
        f"echo Drophammer: {who} gave up on the ${{part}} after {TRIES} tries.",
        f"echo Starting again in {LAST_PAUSE_SECONDS} seconds.",
        f"sleep {LAST_PAUSE_SECONDS}",
        # Some builds of iPXE have no reboot command; then the next boot device has its turn.
        "reboot ||",
        "exit 1",
    )


def disk() -> str:
    """The script of a known machine that has nothing to boot from the network.

    It leaves with an error, since UEFI firmware takes a success for the end of
    booting and shows its menu; upon an error it tries its next boot option.
    """
    return _script("echo Drophammer: nothing to boot from the network, on to the disk.", "exit 1")


def _url(spec: BootSpec, stage: str, base_url: str) -> str:
    url = spec.kernel if stage == KERNEL else spec.ramdisk
    if is_ours(url):
        return f"{base_url}/{boot_file(spec.key, stage)}"
    return url


def _script(*lines: str) -> str:
    return "\n".join(("#!ipxe", *lines, ""))
