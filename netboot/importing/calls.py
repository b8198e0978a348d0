"""What other roles may ask of the boot resources: the answers on the bus, in JSON types."""

from __future__ import annotations

import datetime
from typing import Any

from netboot.importing.timer import ImportTimer
from netboot.resources import index
from netboot.resources.index import Image
from netboot.resources.tree import Resources, Snapshot


class ResourceCalls:
    """The part of netboot's methods on the bus that is about boot resources."""

    def __init__(self, resources: Resources, timer: ImportTimer) -> None:
        self._resources = resources
        self._timer = timer

    def images(self) -> dict[str, Any]:
        """All images of the current snapshot, by its index."""
        return listed(self._resources)

    def import_images(self) -> dict[str, Any]:
        """Have an import begin, now or when the present one is over."""
        return self._timer.import_now()

    def import_status(self) -> dict[str, Any]:
        """How far an import is, or how the last one ended."""
        return self._timer.status()


def listed(resources: Resources) -> dict[str, Any]:
    """The images that machines can boot now, and when it was last looked for newer ones."""
    current = resources.current()
    images = current.images() if current else []
    return {
        "snapshot": current.name if current else None,
        "checked_at": _checked(current),
        "images": [_image(resources, image) for image in images],
    }


def _image(resources: Resources, image: Image) -> dict[str, Any]:
    of = image.id
    return {
        "id": str(of),
        "os": of.os,
        "architecture": of.arch,
        "subarchitecture": of.subarch,
        "release": of.release,
        "label": of.label,
        "files": [
            {
                "name": name,
                "url": resources.url(of, name),
                "sha256": entry.sha256,
                "size": entry.size,
                "version": entry.version,
                "source": entry.source,
            }
            for name, entry in image.files.items()
        ],
    }


def _checked(snapshot: Snapshot | None) -> str | None:
    if snapshot is None:
        return None
    try:
        seconds = (snapshot.path / index.NAME).stat().st_mtime
    except OSError:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
