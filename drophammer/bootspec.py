"""What a machine boots: written by the conductor, read by netboot, stored as one row.

Also the grammar of kernel parameters. Every value that ends up in a boot file
passes ``check_parameters``, whoever supplied it, because the boot loaders' own
languages (iPXE, pxelinux, GRUB) would read a newline, a brace or a ``$`` as theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from drophammer.errors import Invalid

INSPECT, CLEAN, DEPLOY = "inspect", "clean", "deploy"
SERVICE, RESCUE = "service", "rescue"
# The node's own system, as long as it is deployed: no ramdisk of ours.
INSTANCE = "instance"
IPXE, PXE = "ipxe", "pxe"

# Linux gives a kernel 2048 bytes on x86 (COMMAND_LINE_SIZE, Documentation/admin-guide).
MAX_COMMAND_LINE = 2048
MAX_URL = 1024
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(=[A-Za-z0-9._:/,@%+=~?\[\]-]*)?")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class BootSpec:
    """One machine's network boot.

    ``loader`` is ipxe (HTTP, our iPXE script) or pxe (pxelinux or shim + GRUB over
    TFTP). ``kernel`` and ``ramdisk`` are http(s):// or file:// URLs. ``parameters``
    are kernel parameters, in order. ``key`` is an unguessable part of the file
    URLs: files are handed out only by what a boot spec named. ``root`` is the URL of
    a root file system that the machine mounts over iSCSI; None when the ramdisk is all.
    """

    node_uuid: str
    purpose: str
    loader: str
    kernel: str
    ramdisk: str
    parameters: tuple[str, ...]
    key: str
    root: str | None = None


def check_parameters(text: str, source: str) -> tuple[str, ...]:
    """Split a string of kernel parameters and check each one.

    ``source`` names where the text came from, for the error. Raises Invalid with
    the position of the first character that no boot file may contain.
    """
    for position, character in enumerate(text):
        if not (character == " " or "!" <= character <= "~"):
            raise Invalid(
                f"{source}: character {character!r} at position {position} is not allowed in "
                "kernel parameters; use printable ASCII and single spaces."
            )
    parameters = tuple(text.split())
    for parameter in parameters:
        match = _PARAMETER.match(parameter)
        good = match.end() if match else 0
        if good != len(parameter):
            position = text.index(parameter) + good
            raise Invalid(
                f"{source}: {parameter[good]!r} at position {position} is not allowed in kernel "
                "parameters: boot loaders would read it as their own language."
            )
    if len(text) > MAX_COMMAND_LINE:
        raise Invalid(
            f"{source}: {len(text)} characters of kernel parameters; a kernel takes at most "
            f"{MAX_COMMAND_LINE}."
        )
    return parameters


def check_file_url(url: str, source: str) -> str:
    """A URL of a kernel or ramdisk: http, https or file, and nothing a boot file cannot hold."""
    if len(url) > MAX_URL:
        raise Invalid(f"{source}: a URL of {len(url)} characters; at most {MAX_URL} are possible.")
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        host = parts.hostname if parts.port != 0 else None
    except ValueError as error:
        raise Invalid(f"{source}: {url!r} is not a URL: {error}.") from None
    if parts.scheme == "file":
        if parts.netloc or not url.startswith("file:///") or parts.path == "/":
            raise Invalid(f"{source}: {url!r} does not name a file; write file:///path/to/file.")
    elif parts.scheme not in ("http", "https") or not host:
        raise Invalid(f"{source}: {url!r} is not an http://, https:// or file:// URL.")
    if parts.username or parts.password:
        raise Invalid(f"{source}: a URL in a boot file cannot carry a user name or password.")
    if not re.fullmatch(r"[A-Za-z0-9._:/@%+=~?&\[\],;-]+", url):
        raise Invalid(f"{source}: {url!r} has a character that no boot file may contain.")
    return url


def normal_mac(text: str) -> str:
    """``text`` as lower-case colon-separated MAC address. Raises Invalid."""
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise Invalid(f"{text!r} is not a MAC address like 52:54:00:12:34:56.")
    return mac
