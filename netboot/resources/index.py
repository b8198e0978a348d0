"""The index of a snapshot: each of its files with checksum, size and where it came from.

It is a file in the snapshot, so that both become current in the same instant;
``drophammer.meta`` in the root of all boot resources is a link to the current one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drophammer.errors import Unavailable
from netboot.resources import durable, names
from netboot.resources.names import ImageId

NAME = "drophammer.meta"
_FORMAT = 1


@dataclass(frozen=True)
class FileEntry:
    """One file. ``mtime_ns``: as long as it and ``size`` are the same, so is the content."""

    sha256: str
    size: int
    mtime_ns: int
    version: str
    source: str
    origin: str | None = None


@dataclass(frozen=True)
class Image:
    """An image and its files, by their names in its folder."""

    id: ImageId
    files: Mapping[str, FileEntry]


@dataclass(frozen=True)
class Index:
    """``files`` by path; ``links`` to boot loaders of this system, path to target."""

    files: Mapping[str, FileEntry] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    def same_content(self, other: Index) -> bool:
        """Whether a machine would find the same in both."""
        return self.links == other.links and {
            path: entry.sha256 for path, entry in self.files.items()
        } == {path: entry.sha256 for path, entry in other.files.items()}

    def images(self) -> list[Image]:
        """All images, sorted; what does not lie where images' files lie is none of them."""
        found: dict[ImageId, dict[str, FileEntry]] = {}
        for path, entry in self.files.items():
            of = names.image_file(path)
            if of is not None:
                found.setdefault(of[0], {})[of[1]] = entry
        return [Image(image, dict(sorted(found[image].items()))) for image in sorted(found)]

    def dump(self) -> str:
        """As it is stored."""
        files = {path: asdict(self.files[path]) for path in sorted(self.files)}
        links = dict(sorted(self.links.items()))
        return json.dumps({"format": _FORMAT, "files": files, "links": links}, indent=1) + "\n"


class Damaged(Unavailable):
    """The index is lost, or can be read and is none."""


def load(path: Path) -> Index:
    """Read an index. Raises Damaged, or Unavailable for the disk."""
    try:
        told: Any = json.loads(path.read_bytes())
        if told["format"] != _FORMAT:
            raise ValueError(f"format {told['format']!r} is not known")
        files = {name: FileEntry(**entry) for name, entry in told["files"].items()}
        return Index(files, dict(told["links"]))
    except FileNotFoundError:
        raise Damaged(
            f"The index of boot resources {path} is not there; the next import writes a new one."
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The index of boot resources {path} cannot be read: {error.strerror}."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"The index of boot resources {path} is damaged ({error}); the next import writes a "
            "new one."
        ) from error


def write(folder: Path, index: Index) -> None:
    """Write the index of the snapshot in ``folder``."""
    durable.write(folder / NAME, index.dump(), aside=folder.parent)
