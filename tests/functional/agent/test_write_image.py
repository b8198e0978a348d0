"""Writing images from a real HTTP server onto real loop disks, compared byte by byte."""

import hashlib
import os
import subprocess
import threading

import pytest

from agent.blockdev import BlockTarget
from agent.checksums import Checksum
from agent.context import Context
from agent.errors import (
    DeviceError,
    DeviceNotFound,
    ImageChecksumMismatch,
    ImageDownloadFailed,
    ImageFormatUnsupported,
    ImageTooLarge,
    InvalidCommandParams,
)
from agent.hardware import Machine
from agent.imagewriter import Progress, write_image
from agent.install import install_image
from tests.patience import PATIENCE, until

MIB = 1 << 20


class Scene:
    """One disk, one image server, and ``install`` as the commands call it."""

    def __init__(self, server, device, record, options, content_of, make_info):
        self.server, self.device, self.content_of = server, device, content_of
        self.make_info, self.progress = make_info, Progress()
        self.options, self.record, self.config = options, record, {}

    def install(self, info=None, drive=None, **options):
        context = Context(
            self.options(**options),
            Machine(),
            {"properties": {"root_device": {"name": self.device}}},
            self.config,
            off=self.fail,
            restart=self.fail,
            disks=lambda: [self.record],
        )
        info = self.make_info(self.server) if info is None else info
        return install_image(context, None, info, drive, self.progress)

    def fail(self):
        raise AssertionError("nothing here turns the machine off")

    def written(self):
        return self.content_of(self.device, len(self.server.image)) == self.server.image


@pytest.fixture
def scene(image_server, image, make_loop, describe, options, content_of, make_info):
    image_server.image = image
    device = make_loop()
    return Scene(image_server, device, describe(device), options, content_of, make_info)


def test_the_disk_holds_the_image(scene):
    assert f"image of {len(scene.server.image)} bytes" in scene.install()
    assert scene.written()


def test_old_content_under_zero_runs_is_gone(scene):
    # The pattern on the disk covers the image's zeros from 3 to 8 MiB.
    assert scene.content_of(scene.device, 4 * MIB)[-1] == 0xA5
    scene.install()
    assert scene.content_of(scene.device, 8 * MIB)[3 * MIB :] == bytes(5 * MIB)


def test_the_end_of_the_disk_loses_a_former_backup_table(scene):
    scene.install()
    size = scene.record["size"]
    assert scene.content_of(scene.device, size)[-MIB:] == bytes(MIB)


def test_a_disk_with_large_sectors_is_written(scene, make_loop, describe):
    device = make_loop(sector=4096)
    scene.device, scene.record = device, describe(device)
    scene.install()
    assert scene.written()


def test_the_progress_counts_to_the_image_length(scene):
    scene.install()
    assert scene.progress.done == scene.progress.total == len(scene.server.image)


def test_a_chunked_download_of_unknown_length_is_written(scene):
    info = scene.make_info(scene.server)
    info["urls"] = [info["urls"][0].replace("disk.img", "chunked")]
    scene.install(info)
    assert scene.written()


def test_a_redirect_is_followed(scene):
    info = scene.make_info(scene.server)
    info["urls"] = [info["urls"][0].replace("disk.img", "moved")]
    scene.install(info)
    assert scene.written()


def test_a_broken_download_goes_on_where_it_broke(scene):
    scene.server.cuts = [4 * MIB + 17, 1 * MIB]
    scene.install()
    assert scene.written()
    ranges = [wanted for _, wanted, _ in scene.server.requests]
    assert ranges == [None, f"bytes={4 * MIB + 17}-", f"bytes={5 * MIB + 17}-"]


def test_a_server_without_ranges_is_read_again_from_the_start(scene):
    scene.server.ranges = False
    scene.server.cuts = [4 * MIB + 17]
    scene.install()
    assert scene.written()


def test_a_broken_chunked_download_goes_on_too(scene):
    scene.server.cuts = [4 * MIB]
    info = scene.make_info(scene.server)
    info["urls"] = [info["urls"][0].replace("disk.img", "chunked")]
    # The cut body ends in a proper last chunk: only the digest can tell.
    with pytest.raises(ImageChecksumMismatch):
        scene.install(info)


def test_an_image_that_changes_in_between_is_refused(scene):
    scene.server.cuts, scene.server.etags = [4 * MIB], ['"one"', '"two"']
    with pytest.raises(ImageDownloadFailed, match="changed"):
        scene.install()


def test_after_the_last_retry_the_byte_is_named(scene):
    scene.server.cuts = [1000, 0, 0, 0]
    with pytest.raises(ImageDownloadFailed, match="at byte 1000"):
        scene.install(**{"image-download-connection-retries": "2"})


def test_a_missing_image_is_not_asked_for_again(scene):
    info = {**scene.make_info(scene.server), "urls": [scene.server.url + ".gone"]}
    with pytest.raises(ImageDownloadFailed, match="404"):
        scene.install(info)
    assert len(scene.server.requests) == 1


def test_the_second_url_is_used_when_the_first_fails(scene):
    info = scene.make_info(scene.server)
    info["urls"] = ["http://127.0.0.1:9/disk.img", scene.server.url + ".gone", scene.server.url]
    scene.install(info)
    assert scene.written()


def test_a_wrong_checksum_fails_and_leaves_nothing_to_boot(scene):
    with pytest.raises(ImageChecksumMismatch, match="0" * 64):
        scene.install({**scene.make_info(scene.server), "checksum": "0" * 64})
    assert scene.content_of(scene.device, MIB) == bytes(MIB)


def test_an_image_larger_than_the_disk_is_refused_before_anything_is_written(
    scene, make_loop, describe
):
    device = make_loop(size=8 * MIB)
    scene.device, scene.record = device, describe(device)
    before = scene.content_of(device, 8 * MIB)
    with pytest.raises(ImageTooLarge, match=str(len(scene.server.image))):
        scene.install()
    assert scene.content_of(device, 8 * MIB) == before


def test_an_image_of_unknown_length_is_stopped_at_the_end_of_the_disk(scene, make_loop, describe):
    device = make_loop(size=8 * MIB)
    scene.device, scene.record = device, describe(device)
    info = scene.make_info(scene.server)
    info["urls"] = [info["urls"][0].replace("disk.img", "chunked")]
    with pytest.raises(ImageTooLarge):
        scene.install(info)


def test_a_zero_run_beyond_the_end_of_the_disk_is_stopped_too(scene, make_loop, describe):
    scene.server.image = bytes(16 * MIB)
    device = make_loop(size=8 * MIB)
    scene.device, scene.record = device, describe(device)
    info = scene.make_info(scene.server)
    info["urls"] = [info["urls"][0].replace("disk.img", "chunked")]
    with pytest.raises(ImageTooLarge):
        scene.install(info)


def test_a_read_only_disk_is_an_error_that_names_it(scene, make_loop, describe):
    device = make_loop(read_only=True)
    scene.device, scene.record = device, describe(device)
    with pytest.raises(DeviceError, match=device):
        scene.install()


def test_a_mounted_disk_is_refused(scene, tmp_path):
    subprocess.run(["mke2fs", "-q", "-F", scene.device], check=True, capture_output=True)
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", scene.device, tmp_path / "mnt"], check=True)
    try:
        with pytest.raises(DeviceError, match="busy"):
            scene.install()
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True)


def test_hints_without_a_disk_are_listed(scene):
    scene.record["name"] = "/dev/other"
    with pytest.raises(DeviceNotFound, match=scene.device):
        scene.install()


def test_basic_authentication_is_sent_and_not_said(scene, capfd):
    scene.install(
        scene.make_info(
            scene.server,
            image_server_auth_strategy="http_basic",
            image_server_user="joe",
            image_server_password="sesame",
        )
    )
    assert scene.server.requests[0][2] == "Basic am9lOnNlc2FtZQ=="
    said = capfd.readouterr().out
    assert "sesame" not in said
    assert "am9lOnNlc2FtZQ" not in said


def test_the_checksum_may_be_a_checksum_file(scene):
    sums = scene.server.url.replace("disk.img", "SUMS")
    scene.install({**scene.make_info(scene.server), "checksum": sums})
    assert scene.written()


@pytest.mark.parametrize("kind", ["md5", "sha512"])
def test_other_digests_are_computed_too(scene, kind):
    digest = hashlib.new(kind, scene.server.image).hexdigest()
    info = scene.make_info(scene.server, os_hash_algo=kind, os_hash_value=digest)
    scene.install(info)
    assert scene.written()


@pytest.mark.parametrize(
    "change",
    [
        {"urls": []},
        {"urls": "http://h"},
        {"urls": ["file:///etc/passwd"]},
        {"id": None},
        {"checksum": None},
        {"image_type": "partition"},
        {"image_server_auth_strategy": "http_basic"},
        {"image_request_authorization": "%"},
    ],
)
def test_bad_image_info_is_refused_before_the_disk_is_touched(scene, change):
    before = scene.content_of(scene.device, 64 * MIB)
    with pytest.raises(InvalidCommandParams):
        scene.install({**scene.make_info(scene.server), **change})
    assert scene.content_of(scene.device, 64 * MIB) == before


def test_a_qcow2_announced_as_raw_is_refused(scene):
    scene.server.image = b"QFI\xfb" + bytes(MIB)
    with pytest.raises(ImageFormatUnsupported, match="qcow2"):
        scene.install()


def test_a_qcow2_is_converted_where_qemu_img_is_there(scene, tmp_path):
    raw, qcow2, original = tmp_path / "raw", tmp_path / "qcow2", scene.server.image
    raw.write_bytes(original.ljust(11 * MIB, b"\0"))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, qcow2], check=True)
    scene.server.image = qcow2.read_bytes()
    scene.install(scene.make_info(scene.server, disk_format="qcow2"))
    assert scene.content_of(scene.device, 11 * MIB) == raw.read_bytes()


def test_a_qcow2_with_a_backing_file_is_refused(scene, tmp_path):
    path = tmp_path / "qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", path, "8M"],
        check=True,
    )
    scene.server.image = path.read_bytes()
    with pytest.raises(ImageFormatUnsupported, match="another file"):
        scene.install(scene.make_info(scene.server, disk_format="qcow2"))


def test_without_qemu_img_the_error_says_what_to_do(scene, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageFormatUnsupported, match="no qemu-img"):
        scene.install(scene.make_info(scene.server, disk_format="qcow2"))


def test_a_format_that_the_conductor_does_not_permit_is_refused(scene):
    scene.config = {"permitted_image_formats": ["raw"]}
    with pytest.raises(ImageFormatUnsupported, match="permit"):
        scene.install(scene.make_info(scene.server, disk_format="qcow2"))


def test_a_plain_file_is_written_with_holes_for_zeros(tmp_path, image):
    class Source:
        total, at = len(image), 0

        def fill(self, view):
            piece = image[self.at : self.at + len(view)]
            view[: len(piece)] = piece
            self.at += len(piece)
            return len(piece)

    path = tmp_path / "file"
    path.write_bytes(b"\xa5" * len(image))
    checksum = Checksum("sha256", hashlib.sha256(image).hexdigest())
    with BlockTarget(str(path)) as target:
        write_image(Source(), target, checksum, Progress())
    assert path.read_bytes() == image


class HalfWay:
    """A source that stops in the middle until it is let go."""

    def __init__(self, data):
        self.data, self.total, self.at = data, len(data), 0
        self.go = threading.Event()

    def fill(self, view):
        if self.at >= self.total // 2:
            assert self.go.wait(PATIENCE)
        part = self.data[self.at : self.at + len(view)]
        view[: len(part)] = part
        self.at += len(part)
        return len(part)


def test_the_disk_cannot_boot_before_all_is_written_and_verified(scene):
    data = os.urandom(16 * MIB)
    source, progress = HalfWay(data), Progress()
    checksum = Checksum("sha256", hashlib.sha256(data).hexdigest())
    with open(scene.device, "r+b") as disk:
        disk.write(b"\xee" * MIB)
    with BlockTarget(scene.device) as target:
        work = threading.Thread(target=write_image, args=(source, target, checksum, progress))
        work.start()
        until(lambda: progress.done >= 6 * MIB)
        target.flush()
        half = scene.content_of(scene.device, 4 * MIB)
        source.go.set()
        work.join()
    assert half[:MIB] == bytes(MIB)
    assert scene.content_of(scene.device, len(data)) == data
