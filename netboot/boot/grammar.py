"""The last check before text goes into a boot file, whoever wrote the row.

The loaders' languages have no quoting that all of them honour; so nothing that
any of them would read as its own is let in. Pure; raises Invalid only.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from drophammer.bootspec import (
    IPXE,
    MAX_COMMAND_LINE,
    PXE,
    RESOURCE,
    SAN,
    BootSpec,
    check_file_url,
    check_root_url,
)
from drophammer.bootspec import check_parameters as check_text
from drophammer.errors import Invalid

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORD = re.compile(r"[a-z][a-z -]{0,15}")
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_OURS = ("initrd", "BOOTIF")
# BOOT_IMAGE=, initrd= and BOOTIF=, of which pxelinux writes the first two with whole paths.
_ROOM_FOR_OURS = 256


def check_spec(spec: BootSpec) -> BootSpec:
    """Return ``spec`` when every value of it may stand in a boot file; raises Invalid."""
    if not _UUID.fullmatch(spec.node_uuid):
        raise Invalid("The boot spec's node is not a UUID.")
    source = f"boot spec of node {spec.node_uuid}"
    if not _WORD.fullmatch(spec.purpose):
        raise Invalid(f"{source}: its purpose is not a short lower-case word.")
    if spec.loader == SAN:
        return spec
    if spec.loader not in (IPXE, PXE):
        raise Invalid(f"{source}: the loader is none of {IPXE!r}, {PXE!r} and {SAN!r}.")
    if not _KEY.fullmatch(spec.key):
        raise Invalid(f"{source}: its key is not 8 to 64 letters, digits, '_' or '-'.")
    check_file_url(spec.kernel, f"{source}, kernel")
    check_file_url(spec.ramdisk, f"{source}, ramdisk")
    if spec.root is not None:
        check_root_url(spec.root, f"{source}, root")
    check_words(spec.parameters, f"{source}, kernel parameters")
    return spec


def needs_tftp(spec: BootSpec) -> BootSpec:
    """Return ``spec`` when TFTP loaders can fetch its files from us; raises Invalid."""
    for name, url in (("kernel", spec.kernel), ("ramdisk", spec.ramdisk)):
        if not is_ours(url):
            raise Invalid(
                f"boot spec of node {spec.node_uuid}: its {name} is an http URL, and pxelinux and "
                f"GRUB fetch by TFTP from this host only. Give the {name} as a file:// or "
                "resource:/// URL, or set the node's boot interface to ipxe."
            )
    return spec


def is_ours(url: str) -> bool:
    """Whether we serve the file ourselves, under the key of its boot."""
    return urlsplit(url).scheme in ("file", RESOURCE)


def check_words(parameters: tuple[str, ...], source: str) -> None:
    """Raise Invalid when these may not all stand behind a kernel's name."""
    text = " ".join(parameters)
    if check_text(text, source) != parameters:
        raise Invalid(f"{source}: each parameter must be one word without spaces.")
    if len(text) + _ROOM_FOR_OURS > MAX_COMMAND_LINE:
        raise Invalid(
            f"{source}: {len(text)} characters; with what netboot adds, a kernel takes at most "
            f"{MAX_COMMAND_LINE - _ROOM_FOR_OURS}."
        )
    for parameter in parameters:
        if parameter.split("=", 1)[0] in _OURS:
            raise Invalid(
                f"{source}: {parameter.split('=', 1)[0]}= is set by netboot itself; leave it out."
            )
