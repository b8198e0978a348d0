"""Puts the config drive on the disk: a small partition labelled ``config-2`` at its end.

Comes after the image. Its content is a secret of the instance: only sizes are
ever said. Does not look into the file system it carries beyond its label.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from agent import partitions
from agent.blockdev import BlockTarget
from agent.console import say
from agent.download import ImageSource
from agent.errors import ConfigDriveError, PartitionTableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.cmdline import Options

LIMIT = 64 << 20
LABEL = "config-2"


def load(text: str, options: Options) -> bytes:
    """The image behind a config drive given as URL or base64 of gzip. Raises ConfigDriveError."""
    if text.startswith(("http://", "https://")):
        with ImageSource({}, options, [text]) as source:
            data = source.read_all(2 * LIMIT)
    else:
        data = text.encode("ascii", "replace")
    return _unpacked(data)


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error:
            raise ConfigDriveError("the config drive is not base64 text") from None
    unzip = zlib.decompressobj(31)
    try:
        image = unzip.decompress(data, LIMIT + 1)
    except zlib.error:
        raise ConfigDriveError("the config drive is not gzip data inside") from None
    if len(image) > LIMIT:
        raise ConfigDriveError(f"the config drive is larger than {LIMIT >> 20} MiB")
    if not unzip.eof:
        raise ConfigDriveError("the config drive's gzip data end too early")
    if not image:
        raise ConfigDriveError("the config drive is empty")
    return image


def write(disk: BlockTarget, image: bytes) -> str:
    """Write the config drive and return a sentence about where. Raises ConfigDriveError."""
    try:
        table = partitions.read_table(disk)
        place = next((p for p in table.partitions if _is_config_drive(disk, p)), None)
        new = place is None
        if place is None:
            place = partitions.add_at_end(disk, len(image), LABEL)
    except PartitionTableError as error:
        raise ConfigDriveError(f"no place for the config drive: {error.message}") from error
    if place.size < len(image):
        raise ConfigDriveError(
            f"partition {place.number} is labelled {LABEL} and holds {place.size} bytes; the"
            f" config drive has {len(image)}"
        )
    disk.write(place.start, image)
    disk.zero(place.start + len(image), -len(image) % disk.sector)
    disk.flush()
    # A kernel that has the disk open elsewhere learns of the partition at the next boot.
    disk.reread_partitions()
    text = f"config drive of {len(image)} bytes in {'new ' if new else ''}partition {place.number}"
    say(f"configdrive: {text} of {disk.path}")
    return text


def _is_config_drive(disk: BlockTarget, part: partitions.Partition) -> bool:
    if part.name.lower() == LABEL:
        return True
    head = disk.read(part.start, 512)
    fat_labels = (head[43:54], head[71:82])
    iso_label = disk.read(part.start + 0x8000, 72)[40:72]
    labels = (label.decode("latin-1").strip("\0 ").lower() for label in (*fat_labels, iso_label))
    return LABEL in labels
