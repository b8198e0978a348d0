"""The iPXE script of a machine that boots from a volume (see docs/volumes.md).

Pure: volumes in, text out. Every value has passed ``drophammer.volumes``; CHAP's are written
in hexadecimal, for iPXE has no quoting.
"""

from __future__ import annotations

from drophammer.errors import Invalid
from drophammer.volumes import BOOT, Volume, Volumes
from netboot.boot.ipxe import LAST_PAUSE_SECONDS, PAUSE_SECONDS, TRIES

# BIOS numbers drives from here (INT 13h).
_FIRST_DRIVE = 0x80


def boot(node_uuid: str, found: Volumes, *, chap_allowed: bool) -> str:
    """The script that hooks all volumes and boots the first. Raises Invalid.

    The network card's iBFT tells the operating system where its volumes are; ``keep-san``
    leaves them there for installers that find nothing to boot yet.
    """
    check(found, chap_allowed=chap_allowed)
    first = next(volume for volume in found.volumes if volume.index == BOOT)
    others = [volume for volume in found.volumes if volume is not first]
    hooks = [line for volume in others for line in _hook(volume)]
    return "\n".join(
        (
            "#!ipxe",
            f"echo Drophammer: node {node_uuid} boots from volume {first.uuid}.",
            f"set initiator-iqn {found.initiator}",
            "set keep-san 1",
            "set tries:int32 0",
            ":again",
            *hooks,
            f"set part volume {first.uuid}",
            *_login(first),
            f"sanboot --drive {_FIRST_DRIVE:#x} {first.uri} || goto failed",
            ":failed",
            "echo Drophammer: ${part} failed: ${errno}",
            "inc tries",
            f"iseq ${{tries}} {TRIES} && goto leave ||",
            f"sleep {PAUSE_SECONDS}",
            "goto again",
            ":leave",
            f"echo Drophammer: node {node_uuid} gave up on the ${{part}} after {TRIES} tries.",
            f"echo Starting again in {LAST_PAUSE_SECONDS} seconds.",
            f"sleep {LAST_PAUSE_SECONDS}",
            "reboot ||",
            "exit 1",
            "",
        )
    )


def check(found: Volumes, *, chap_allowed: bool) -> None:
    """Raise Invalid when a boot script would have to hold a secret that it may not."""
    if chap_allowed:
        return
    for volume in found.volumes:
        if volume.chap is not None:
            raise Invalid(
                f"Volume target {volume.uuid} asks for CHAP: its password would stand in a boot "
                "script that anybody on the provisioning network can fetch. Let the storage "
                "accept this machine by its initiator name, or set [netboot]chap_in_boot_scripts."
            )


def _hook(volume: Volume) -> list[str]:
    return [
        f"set part volume {volume.uuid}",
        *_login(volume),
        f"sanhook --drive {_FIRST_DRIVE + volume.index:#x} {volume.uri} || goto failed",
    ]


def _login(volume: Volume) -> list[str]:
    if volume.chap is None:
        return ["clear username", "clear password"]
    return [
        f"set username:hex {_hex(volume.chap.username)}",
        f"set password:hex {_hex(volume.chap.password.reveal())}",
    ]


def _hex(text: str) -> str:
    return text.encode().hex(":")
