"""``drophammer images``, and the service that has them: imports, lists, answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.dbcmd import main as database
from embedded.imagescmd import main
from netboot.importing.lock import LOCK
from netboot.importing.progress import status
from tests.patience import AT_ONCE, PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]
XENIAL = "ubuntu/amd64/generic/xenial/daily"
FILES = ("boot-initrd", "boot-kernel", "squashfs")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder of images to import from."""
    folder = tmp_path / "mirror"
    (folder / XENIAL).mkdir(parents=True)
    for name in FILES:
        (folder / XENIAL / name).write_bytes(name.encode() * 100)
    return folder


@pytest.fixture
def config(tmp_path: Path, config: Path, mirror: Path) -> Path:
    with config.open("a") as file:
        file.write(f"[import]\nsources = mirror\n[source:mirror]\ntype = local\npath = {mirror}\n")
    return config


@pytest.fixture
def images(tmp_path: Path, config: Path) -> Callable[..., int]:
    def run(command: str, *arguments: str) -> int:
        where = ["--config-file", str(config), "--state-dir", str(tmp_path / "state")]
        return main([command, *where, *arguments])

    (tmp_path / "state").mkdir()
    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "boot-resources"


def test_the_command_imports_lists_and_shows(images, root, capsys) -> None:
    assert images("list") == 0
    assert "no snapshot, checked never" in capsys.readouterr().out
    assert images("import") == 0
    assert "import: snapshot snapshot-" in capsys.readouterr().out
    assert images("list") == 0
    listed = capsys.readouterr().out
    assert XENIAL in listed
    assert "boot-initrd boot-kernel squashfs" in listed
    assert images("show", XENIAL) == 0
    assert f"resource:///{XENIAL}/squashfs" in capsys.readouterr().out
    assert images("path", XENIAL, "squashfs") == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == (root / "current" / XENIAL / "squashfs").resolve()
    assert images("status") == 0
    assert capsys.readouterr().out.startswith("done: ")
    assert images("import") == 0
    assert "import: nothing new" in capsys.readouterr().out


def test_old_snapshots_are_collected(images, root, mirror, capsys) -> None:
    database(["upgrade", "--state-dir", str(root.parent)])
    images("import")
    old = (root / "current").resolve()
    (mirror / XENIAL / "squashfs").write_bytes(b"newer")
    images("import")
    capsys.readouterr()
    assert images("collect") == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    # Made to look as if all this were years ago.
    new = (root / "current").resolve()
    renamed = [
        path.rename(root / f"snapshot-200{year}0101-000000") for year, path in enumerate((old, new))
    ]
    os.symlink(renamed[1].name, root / "link")
    os.rename(root / "link", root / "current")
    os.utime(renamed[0], (1, 1))
    assert images("collect") == 0
    assert capsys.readouterr().out == "removed snapshot-20000101-000000\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "ubuntu/amd64"), "five"),
        (("show", XENIAL.replace("amd64", "arm64")), "There is no image"),
        (("path", XENIAL, "vmlinuz"), "it has boot-initrd, boot-kernel, squashfs"),
        (("path", "../../../../.."), "position 0"),
    ],
)
def test_what_is_not_there_is_said(images, capsys, arguments, words) -> None:
    images("import")
    assert images(*arguments) == 1
    assert words in capsys.readouterr().err


def test_what_could_not_be_had_is_named_and_the_command_fails(images, mirror, root, capsys) -> None:
    images("import")
    capsys.readouterr()
    shutil.rmtree(mirror)
    assert images("import") == 1
    assert "source mirror" in capsys.readouterr().err
    assert (root / "current" / XENIAL / "squashfs").exists()


@pytest.mark.seed("s12")
def test_an_import_that_is_terminated_leaves_nothing_behind(tmp_path, images, config, root, mirror):
    images("import")
    before = os.readlink(root / "current")
    # It waits for another one, as it would for a slow mirror, and is then told to stop.
    with (root / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "embedded", "images", "import", "--config-file", config]
        process = subprocess.Popen(
            [*command, "--state-dir", tmp_path / "state"], cwd=ROOT, stderr=subprocess.PIPE
        )
        until(lambda: _has_open(process.pid, root / LOCK))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        process.stderr.close()
    assert os.readlink(root / "current") == before
    assert not list(root.glob(".partial-*"))


def _has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == str(path):
                    return True
    return False


@pytest.mark.seed("s12")
def test_the_service_imports_at_start_and_answers_for_its_images(serve, root) -> None:
    service = serve()
    service.until("Ctrl-C stops it.")

    def ask(method: str, path: str) -> dict:
        request = urllib.request.Request(service.url + path, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return dict(json.load(answer))

    asked = ask("POST", "/v1/images/import")["asked"]
    until(lambda: ask("GET", "/v1/images/import")["ended"] >= asked, pause=0.05)
    found = ask("GET", "/v1/images")
    assert [image["id"] for image in found["images"]] == [XENIAL]
    assert found["snapshot"] == os.readlink(root / "current")
    assert status(root)["state"] == "done"
    assert (root / "current" / XENIAL / "squashfs").stat().st_mode & 0o777 == 0o644
    assert service.stop(signal.SIGTERM) < AT_ONCE
