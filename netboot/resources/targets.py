"""The iSCSI targets of images, as tgt's configuration. Pure; who loads it is services/tgt.py.

Every image of every snapshot that is kept has a target of its own, so that a boot
that began before an import finds its root file system; the images of the current
snapshot are there under their plain names, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from drophammer.errors import Invalid
from netboot.resources.names import ImageId

NAME = "drophammer.tgt"
ROOT_FILES = ("squashfs", "root-image")
"""Files that are a root file system; the first that an image has is its target's."""

# RFC 7143, section 4.2.7.1.
MAX_NAME = 223
_PREFIX = re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(:[a-z0-9.:-]+)?")


def check_prefix(prefix: str) -> str:
    """Raises Invalid for what no iSCSI name can begin with."""
    if not _PREFIX.fullmatch(prefix) or len(prefix) > 80:
        raise Invalid(
            f"[resources] target_prefix is {prefix!a}: it must be like "
            "iqn.2004-05.com.ubuntu:maas, in lower case and no longer than 80 characters."
        )
    return prefix


def target_name(prefix: str, image: ImageId, snapshot: str | None = None) -> str:
    """The iSCSI name of an image; with ``snapshot`` that of exactly that one's."""
    words = "-".join((image.os, image.arch, image.subarch, image.release, image.label))
    name = f"{prefix}:ephemeral-{words}"
    return name if snapshot is None else f"{name}:{snapshot}"


def root_file(files: Collection[str]) -> str | None:
    """Which file of an image is its root file system."""
    return next((name for name in ROOT_FILES if name in files), None)


class Names:
    """Sees that no two images get the same iSCSI name: words are joined by what they may hold."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._owners: dict[str, ImageId] = {}

    def claim(self, image: ImageId) -> None:
        """Raises Invalid when the name is too long or another image's."""
        # Pinned ones are the longest. iSCSI names are the same in capitals.
        name = target_name(self._prefix, image).lower()
        if len(target_name(self._prefix, image, "snapshot-20000101-000000")) > MAX_NAME:
            raise Invalid(f"{image}: its iSCSI name would have more than {MAX_NAME} characters.")
        owner = self._owners.setdefault(name, image)
        if owner != image:
            raise Invalid(
                f"{image} and {owner} would have the same iSCSI name {name}; rename one of them."
            )


def configuration(targets: Iterable[tuple[str, Path]]) -> str:
    """tgt's configuration of (iSCSI name, file) pairs: sorted, each name once."""
    return "".join(_block(name, file) for name, file in sorted(dict(targets).items()))


def _block(name: str, file: Path) -> str:
    return (
        f"<target {name}>\n"
        "    readonly 1\n"
        "    allow-in-use yes\n"
        f'    backing-store "{file}"\n'
        "    driver iscsi\n"
        "</target>\n"
    )
