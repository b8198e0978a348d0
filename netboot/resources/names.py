"""What things are called in the tree of boot resources: images, files, snapshots, URLs.

One grammar for all that ends up in a path, a URL, a boot file or the iSCSI
configuration. Pure: no file is looked at here.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import astuple, dataclass

from drophammer.errors import Invalid

SCHEME = "resource://"
BOOTLOADER = "bootloader"
MAX_PART = 64
_START = re.compile(r"[A-Za-z0-9]")
_REST = re.compile(r"[A-Za-z0-9._+~-]")
_SNAPSHOT = re.compile(r"snapshot-[0-9]{8}-[0-9]{6}")
_TIME = "snapshot-%Y%m%d-%H%M%S"
_LEVELS = ("operating system", "architecture", "sub-architecture", "release", "label")
# First parts of paths that machines ask for, and that netboot or the root of a snapshot has.
_TAKEN = frozenset({"boot", "current", "grub", "images", "ipxe", "pxelinux.cfg", "syslinux"})


@dataclass(frozen=True, order=True)
class ImageId:
    """OS/ARCH/SUBARCH/RELEASE/LABEL, checked when it is made by ``parse`` or ``place``."""

    os: str
    arch: str
    subarch: str
    release: str
    label: str

    def __str__(self) -> str:
        return "/".join(astuple(self))

    @classmethod
    def parse(cls, text: str) -> ImageId:
        """Raises Invalid, with the position of what is wrong."""
        parts = text.split("/")
        if len(parts) != len(_LEVELS):
            raise Invalid(
                f"{_shown(text)} is not an image: that is OS/ARCH/SUBARCH/RELEASE/LABEL, five "
                f"names, and here are {len(parts)}."
            )
        _check_parts(text, parts, _LEVELS)
        if parts[0] in _TAKEN or parts[0] == BOOTLOADER or is_snapshot(parts[0]):
            raise Invalid(
                f"{_shown(text)}: an operating system cannot be called {parts[0]!r}; machines "
                "find something else under this name."
            )
        return cls(*parts)


@dataclass(frozen=True)
class Place:
    """Where a file belongs. ``group``: files that are only ever exchanged together."""

    path: str
    group: str
    name: str
    image: ImageId | None = None


def place(path: str) -> Place:
    """Of a path below a snapshot: a file of an image, or one below bootloader/METHOD/ARCH.

    Raises Invalid for all others.
    """
    parts = path.split("/")
    if parts[0] == BOOTLOADER:
        if not 4 <= len(parts) <= 7:
            raise Invalid(f"{_shown(path)} is not bootloader/METHOD/ARCH/FILE.")
        _check_parts(path, parts, ("folder", "boot method", "architecture", *["file"] * 4))
        return Place(path, "/".join(parts[:3]), "/".join(parts[3:]))
    folder, _, name = path.rpartition("/")
    image = ImageId.parse(folder)
    _check_part(path, name, len(folder) + 1, "file")
    return Place(path, folder, name, image)


def image_file(path: str) -> tuple[ImageId, str] | None:
    """(image, name of the file); None for all that does not lie exactly at that depth."""
    try:
        found = place(path)
    except Invalid:
        return None
    return None if found.image is None else (found.image, found.name)


def parse_url(url: str) -> tuple[str | None, str]:
    """(snapshot or None, path in it) of a ``resource:///`` URL. Raises Invalid."""
    if not url.startswith(SCHEME + "/"):
        raise Invalid(f"{_shown(url)} is not a boot resource: write resource:///PATH.")
    path = url.removeprefix(SCHEME + "/")
    first, _, rest = path.partition("/")
    snapshot = first if is_snapshot(first) else None
    inside = rest if snapshot else path
    place(inside)
    return snapshot, inside


def is_resource(url: str) -> bool:
    """Whether a URL is one of a boot resource, right or wrong."""
    return url.startswith(SCHEME)


def pinned_url(snapshot: str, path: str) -> str:
    """The URL of a file in one snapshot."""
    return f"{SCHEME}/{snapshot}/{path}"


def is_snapshot(name: str) -> bool:
    """Whether this is a snapshot's name."""
    return _SNAPSHOT.fullmatch(name) is not None


def snapshot_name(moment: datetime.datetime, newest: str | None) -> str:
    """The name of a snapshot made now: later than any there is, whatever the clock says.

    Two within a second, or a clock put back, count on from the newest one. Raises Invalid when
    nothing can follow upon it.
    """
    name = moment.astimezone(datetime.UTC).strftime(_TIME)
    if newest is not None and name <= newest:
        try:
            name = (snapshot_time(newest) + datetime.timedelta(seconds=1)).strftime(_TIME)
        except OverflowError:
            raise Invalid(
                f"No snapshot can follow upon {newest}: no import has made that; remove it."
            ) from None
    return name


def snapshot_time(name: str) -> datetime.datetime:
    """When a snapshot became the current one, by its name."""
    try:
        return datetime.datetime.strptime(name, _TIME).replace(tzinfo=datetime.UTC)
    except ValueError:
        # Somebody made it by hand; then it is as old as can be.
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _check_parts(text: str, parts: list[str], what: tuple[str, ...]) -> None:
    position = 0
    for part, kind in zip(parts, what, strict=False):
        _check_part(text, part, position, kind)
        position += len(part) + 1


def _check_part(text: str, part: str, position: int, kind: str) -> None:
    if not part:
        raise Invalid(f"{_shown(text)}: the {kind} at position {position} is empty.")
    if len(part) > MAX_PART:
        raise Invalid(
            f"{_shown(text)}: the {kind} at position {position} has {len(part)} characters; at "
            f"most {MAX_PART} are possible."
        )
    for offset, character in enumerate(part):
        if not (_REST if offset else _START).fullmatch(character):
            raise Invalid(
                f"{_shown(text)}: {character!a} at position {position + offset} cannot stand in "
                f"the name of a {kind}: that takes letters, digits and . _ + ~ - behind a letter "
                "or digit."
            )


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 120 else text[:117] + "...")
