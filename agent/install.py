"""Brings an image onto the root disk: choose the disk, write, verify, config drive.

Whole-disk images only. Raw ones are streamed; others need the ``qemu-img``
program, which our own ramdisk does not carry.
"""

from __future__ import annotations

import time

from agent import configdrive, convert, partitions
from agent.blockdev import BlockTarget
from agent.checksums import expected
from agent.console import say
from agent.download import ImageSource, checksum_file, image_urls
from agent.errors import ImageFormatUnsupported, InvalidCommandParams, PartitionTableError
from agent.httpclient import without_credentials
from agent.imagewriter import Progress, write_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.checksums import Checksum
    from agent.context import Context
    from agent.disks import Disk

    Json = dict[str, Any]


def install_image(
    context: Context, node: Json | None, image_info: object, drive: object, progress: Progress
) -> str:
    """Write the image and then the config drive; a sentence about both.

    Raises InvalidCommandParams before anything is touched, and the errors of
    finding the disk, of the download, of writing and of the config drive.
    """
    info = checked_image_info(image_info)
    if drive is not None and not isinstance(drive, str):
        raise InvalidCommandParams("configdrive must be a text: a URL or base64")
    urls = image_urls(info)
    checksum = expected(
        info,
        lambda url: checksum_file(url, info, context.options),
        md5_allowed=context.md5_allowed,
    )
    # Fetched first: a broken config drive must not cost the disk's content.
    drive = drive or info.get("configdrive")
    drive_image = configdrive.load(drive, context.options) if drive else b""
    disk = context.root_disk(node)
    say(f"write_image: {without_credentials(urls[0])} to {disk['name']}, {disk['size']} bytes")
    begun = time.monotonic()
    with BlockTarget(str(disk["name"])) as target:
        length = _write(context, info, urls, checksum, target, progress)
        target.reread_partitions()
        seconds = max(time.monotonic() - begun, 0.001)
        say(f"write_image: {length} bytes, {checksum.algorithm} right, in {seconds:.1f} s")
        context.written_disk = target.path
        told = configdrive.write(target, drive_image) if drive_image else "no config drive"
    return f"image of {length} bytes written to {disk['name']} and verified; {told}"


def checked_image_info(image_info: object) -> Json:
    """``image_info`` as an object of the kind this agent can write. Raises InvalidCommandParams."""
    if not isinstance(image_info, dict):
        raise InvalidCommandParams("image_info must be an object")
    if not image_info.get("id"):
        raise InvalidCommandParams("image_info.id is missing")
    if image_info.get("image_type") == "partition":
        raise InvalidCommandParams("this agent writes whole-disk images, not partition images")
    return image_info


def _write(
    context: Context,
    info: Json,
    urls: list[str],
    checksum: Checksum,
    target: BlockTarget,
    progress: Progress,
) -> int:
    kind = str(info.get("disk_format") or "raw").lower()
    with ImageSource(info, context.options, urls) as source:
        source.open()
        if kind == "raw":
            return write_image(source, target, checksum, progress)
        permitted = context.config.get("permitted_image_formats")
        if isinstance(permitted, list) and kind not in permitted:
            raise ImageFormatUnsupported(
                f"the conductor does not permit {kind!r} images, only {', '.join(permitted)}"
            )
        return convert.write_converted(source, kind, target, checksum, progress)


def partition_uuids(disk: Disk | str) -> Json:
    """Ids of the written disk: "root uuid" holds the disk's own id for a whole-disk image."""
    path = disk if isinstance(disk, str) else str(disk["name"])
    with BlockTarget(path) as target:
        try:
            table = partitions.read_table(target)
        except PartitionTableError:
            return {"root uuid": None, "efi system partition uuid": None}
        efi = next((part.uuid for part in table.partitions if part.is_efi_system), None)
    return {"root uuid": table.disk_id, "efi system partition uuid": efi or None}
