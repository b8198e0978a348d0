"""Images in the conductor's hands: fetched, checked, and written by the real qemu-img."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conductor import imagepush
from drophammer.errors import HardwareError, ImageError, LeaseLost, Unavailable
from drophammer.netns import Namespace

MIB = 1 << 20
HERE = Namespace()
CONTENT = random.Random(7).randbytes(MIB) + bytes(3 * MIB) + b"end"
needs_qemu = pytest.mark.skipif(
    not (shutil.which("qemu-img") and shutil.which("setpriv")), reason="needs qemu-img"
)


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/image" else 503)
            self.end_headers()
            self.wfile.write(CONTENT)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_an_image_is_fetched_when_it_is_what_its_digest_says(
    server: str, tmp_path: Path, algorithm: str
) -> None:
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    info = {"image_source": f"{server}/image", "image_checksum": digest.upper()}
    imagepush.fetch(HERE, info, tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == CONTENT


def test_another_digest_than_promised_is_an_error_that_names_both(
    server: str, tmp_path: Path
) -> None:
    info = {
        "image_source": f"{server}/image",
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": "0" * 64,
    }
    with pytest.raises(ImageError, match=f"{hashlib.sha256(CONTENT).hexdigest()} and not 0000"):
        imagepush.fetch(HERE, info, tmp_path / "image")


def test_a_server_that_refuses_or_is_away_is_named(server: str, tmp_path: Path) -> None:
    info = {"image_checksum": "0" * 32}
    with pytest.raises(ImageError, match="HTTP 503"):
        imagepush.fetch(HERE, {**info, "image_source": f"{server}/x"}, tmp_path / "image")
    with pytest.raises(Unavailable, match="was not fetched"):
        imagepush.fetch(HERE, {**info, "image_source": "http://127.0.0.1:9/x"}, tmp_path / "image")


def test_a_disk_of_the_conductor_that_is_full_is_said(server: str, tmp_path: Path) -> None:
    info = {"image_source": f"{server}/image", "image_checksum": "0" * 32}
    with pytest.raises(Unavailable, match=r"kept in /dev: No space left on device\. Make room"):
        imagepush.fetch(HERE, info, Path("/dev/full"))


@needs_qemu
@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_what_was_on_the_target_is_overwritten_bit_by_bit(tmp_path: Path, kind: str) -> None:
    raw, image, target = tmp_path / "raw", tmp_path / "image", tmp_path / "target"
    content = CONTENT.ljust(5 * MIB, b"\0")
    raw.write_bytes(content)
    subprocess.run(["qemu-img", "convert", "-O", kind, raw, image], check=True)
    target.write_bytes(b"old" * 2 * MIB)
    imagepush.check_format(image, {"image_disk_format": kind})
    imagepush.Push(HERE, image, kind, str(target)).run(lambda percent: None)
    written = target.read_bytes()
    assert written[: len(content)] == content
    assert written[len(content) :] == (b"old" * 2 * MIB)[len(content) :]


@needs_qemu
def test_what_qemu_img_complains_of_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(CONTENT.ljust(5 * MIB, b"\0"))
    (tmp_path / "target").write_bytes(bytes(MIB))
    push = imagepush.Push(HERE, tmp_path / "image", "raw", str(tmp_path / "target"))
    with pytest.raises(HardwareError, match=r"not written to .*target: qemu-img ended with 1: .+"):
        push.run(lambda percent: None)


def test_nothing_is_written_on_when_the_work_is_no_longer_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A qemu-img that never ends, and a lease that does."""
    program = tmp_path / "qemu-img"
    program.write_text(
        f'#!/bin/sh\necho $$ > {tmp_path}/pid\nprintf "    (41.50/100%%)\\r"\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(imagepush, "_TELL_SECONDS", 0.2)
    heard = []

    def tell(percent: int) -> None:
        heard.append(percent)
        if percent:
            raise LeaseLost("somebody else has the node")

    with pytest.raises(LeaseLost):
        imagepush.Push(HERE, tmp_path / "image", "raw", "iscsi://nowhere/0").run(tell)
    assert heard[-1] == 41
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("said", "head"),
    [
        ("raw", b"QFI\xfb\0\0\0\3" + bytes(72)),
        ("qcow2", b"RAW" + bytes(77)),
        ("qcow2", b"QFI\xfb\0\0\0\2" + (4096).to_bytes(8, "big") + bytes(64)),
        ("qcow2", b"QFI\xfb\0\0\0\3" + bytes(64) + (4).to_bytes(8, "big")),
    ],
)
def test_an_image_that_is_not_what_it_is_said_to_be_or_names_other_files_is_refused(
    tmp_path: Path, said: str, head: bytes
) -> None:
    (tmp_path / "image").write_bytes(head)
    with pytest.raises(ImageError, match=r"format|another file"):
        imagepush.check_format(tmp_path / "image", {"image_disk_format": said})
