"""iPXE scripts, made on request (see "iPXE" in docs/booting.md).

Pure: a boot spec and addresses in, text out. iPXE runs a script line by line and
has no quoting, so every value comes out of ``grammar.check_spec``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from drophammer.bootspec import BootSpec
from netboot.boot.grammar import check_spec
from netboot.paths import KERNEL, RAMDISK, boot_file, ipxe_script

TRIES = 5
PAUSE_SECONDS = 3
LAST_PAUSE_SECONDS = 30
# With the pause, the time that this service may take to be started anew.
ROUNDS = 10


def start(base_url: str) -> str:
    """The script that every machine gets first: it asks for the one of its network card.

    ``netX`` is the card that iPXE booted from. The others are tried after it, for
    machines that start from a card which is not registered.
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
    # EFI kernels look for the ramdisk under the name that initrd= gives.
    arguments = " ".join(("initrd=ramdisk", *spec.parameters, "BOOTIF=01-${netX/mac:hexhyp}"))
    return _script(
        f"echo Drophammer: node {spec.node_uuid} starts its {spec.purpose} ramdisk.",
        "set tries:int32 0",
        ":again",
        "imgfree",
        "set part kernel",
        f"kernel --name kernel {_url(spec, KERNEL, base_url)} {arguments} || goto failed",
        "set part ramdisk",
        f"initrd --name ramdisk {_url(spec, RAMDISK, base_url)} || goto failed",
        "set part start of the kernel",
        "boot || goto failed",
        ":failed",
        "echo Drophammer: the ${part} failed: ${errno}",
        "inc tries",
        f"iseq ${{tries}} {TRIES} && goto leave ||",
        f"sleep {PAUSE_SECONDS}",
        "goto again",
        ":leave",
        f"echo Drophammer: node {spec.node_uuid} gave up on the ${{part}} after {TRIES} tries.",
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
    if urlsplit(url).scheme == "file":
        return f"{base_url}/{boot_file(spec.key, stage)}"
    return url


def _script(*lines: str) -> str:
    return "\n".join(("#!ipxe", *lines, ""))
