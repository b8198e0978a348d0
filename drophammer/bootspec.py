"""What a machine boots: written by the conductor, read by netboot, stored as one row.

Also the grammar of kernel parameters. Every value that ends up in a boot file
passes ``check_parameters``, whoever supplied it, because the boot loaders' own
languages (iPXE, pxelinux, GRUB) would read a newline, a brace or a ``$`` as theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from drophammer.errors import Invalid

INSPECT, CLEAN, DEPLOY = "inspect", "clean", "deploy"
SERVICE, RESCUE = "service", "rescue"
# The node's own system, as long as it is deployed: no ramdisk of ours.
INSTANCE = "instance"
IPXE, PXE = "ipxe", "pxe"
# iPXE boots a volume: neither kernel nor ramdisk, and what the volume is stays in its own row.
SAN = "san"

# Files of netboot's own tree; with a snapshot in front of the path they never change.
RESOURCE = "resource"

# Linux gives a kernel 2048 bytes on x86 (COMMAND_LINE_SIZE, Documentation/admin-guide).
MAX_COMMAND_LINE = 2048
MAX_URL = 1024
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(=[A-Za-z0-9._:/,@%+=~?\[\]-]*)?")
_URL = re.compile(r"[A-Za-z0-9._:/@%+=~?&\[\],;-]*")
_RESOURCE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class BootSpec:
    """One machine's network boot.

    ``loader`` is ipxe (HTTP, our iPXE script), pxe (pxelinux or shim + GRUB over TFTP), or
    san (iPXE boots the node's volume; no files then). ``kernel`` and ``ramdisk`` are
    http(s)://, file:// or resource:/// URLs. ``parameters`` are kernel parameters, in
    order. ``key`` is an unguessable part of the file URLs: files are handed out only by
    what a boot spec named. ``root`` is the resource:/// URL of a root file system that the
    machine mounts over iSCSI; None when the ramdisk is all.
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
    """A URL of a kernel or ramdisk: http, https, file or resource, fit for every boot file."""
    if len(url) > MAX_URL:
        raise Invalid(f"{source}: a URL of {len(url)} characters; at most {MAX_URL} are possible.")
    _check_characters(url, source)
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        host = parts.hostname if parts.port != 0 else None
    except ValueError as error:
        raise Invalid(f"{source}: {url!r} is not a URL: {error}.") from None
    if parts.scheme == RESOURCE:
        return _check_resource(url, source)
    if parts.scheme == "file":
        if parts.netloc or not url.startswith("file:///") or parts.path == "/":
            raise Invalid(f"{source}: {url!r} does not name a file; write file:///path/to/file.")
    elif parts.scheme not in ("http", "https") or not host:
        raise Invalid(
            f"{source}: {url!r} is not an http://, https://, file:// or resource:/// URL."
        )
    if parts.username or parts.password:
        raise Invalid(f"{source}: a URL in a boot file cannot carry a user name or password.")
    return url


def check_root_url(url: str, source: str) -> str:
    """The URL of a root file system: one of our boot resources, for we are its iSCSI target."""
    if is_resource(check_file_url(url, source)):
        return url
    raise Invalid(
        f"{source}: {url!r} is not a boot resource; write "
        "resource:///OS/ARCH/SUBARCH/RELEASE/LABEL/squashfs."
    )


def is_resource(url: str) -> bool:
    """Whether ``url`` names a boot resource of netboot's."""
    return url.startswith(f"{RESOURCE}:")


def resource_path(url: str) -> str:
    """The path of a boot resource, as netboot serves it; ``url`` has passed the check."""
    return url.removeprefix(f"{RESOURCE}:///")


def _check_characters(url: str, source: str) -> None:
    found = _URL.match(url)
    good = found.end() if found else 0
    if good != len(url):
        raise Invalid(
            f"{source}: {url[good]!r} at position {good} is a character that no boot file may "
            "contain."
        )
    path = url.partition("?")[0]
    for part in re.finditer(r"[^/]+", path):
        if unquote(part[0]) == "..":
            raise Invalid(
                f"{source}: {part[0]!r} at position {part.start()} leads upwards; name the file "
                "itself."
            )


def _check_resource(url: str, source: str) -> str:
    if not url.startswith(f"{RESOURCE}:///"):
        raise Invalid(
            f"{source}: {url!r} does not name a boot resource; write "
            "resource:///OS/ARCH/SUBARCH/RELEASE/LABEL/boot-kernel."
        )
    position = len(f"{RESOURCE}:///")
    for part in url[position:].split("/"):
        found = _RESOURCE_PART.match(part)
        good = found.end() if found else 0
        if not part or good != len(part):
            what = repr(part[good]) if good < len(part) else "an empty part"
            raise Invalid(
                f"{source}: {what} at position {position + good} cannot be in the path of a boot "
                "resource."
            )
        position += len(part) + 1
    return url


def normal_mac(text: str) -> str:
    """``text`` as lower-case colon-separated MAC address. Raises Invalid."""
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise Invalid(f"{text!r} is not a MAC address like 52:54:00:12:34:56.")
    return mac
