"""``drophammer import-netboot``: what the user's script was tested for, and where it failed."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netboot.importing import netbootcmd
from netboot.importing.exchange import exchange, fresh, recover, replace_folder
from tests.patience import PATIENCE

CURL = "curl -O --silent"


@dataclass
class Archive:
    """An archive and a TFTP root in a test's folder; ``run`` is the command as a shell has it."""

    root: Path
    environment: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    told: str = ""
    failed: str = ""
    arches: tuple[str, ...] = ("i386",)
    releases: tuple[str, ...] = ("precise",)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def tftproot(self) -> Path:
        return self.root / "tftproot"

    def netboot(self, release: str = "precise", arch: str = "i386") -> Path:
        images = self.root / "archive" / release / "main" / f"installer-{arch}" / "current/images"
        return images / "netboot/ubuntu-installer" / arch

    def put(self, name: str, content: bytes, release: str = "precise", arch: str = "i386") -> None:
        path = self.netboot(release, arch) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def installer(self, release: str = "precise", arch: str = "i386", word: str = "old") -> None:
        for name in ("linux", "initrd.gz"):
            self.put(name, f"{name} {word} {release} {arch}".encode(), release, arch)

    def loader(self, arch: str = "i386") -> Path:
        return self.tftproot / "maas" / arch / "base" / "pxelinux.0"

    def install(self, release: str = "precise", arch: str = "i386") -> Path:
        return self.tftproot / "maas" / arch / "base" / release / "install"

    def run(self, *arguments: str) -> int:
        values = {
            "ARCHIVE": f"file://{self.root}/archive/",
            "RELEASES": " ".join(self.releases),
            "CURRENT_RELEASE": self.releases[0],
            "ARCHES": " ".join(self.arches),
            "TFTPROOT": f"{self.tftproot}/",
            **self.settings,
        }
        for name, value in values.items():
            self.environment.setenv(name, value)
        code = netbootcmd.main(["--allow-files", str(self.root / "archive"), *arguments])
        self.told, self.failed = self.capture.readouterr()
        return code

    def left(self) -> list[str]:
        """What lies hidden in the TFTP root."""
        return [path.name for path in self.tftproot.rglob(".*")]


@pytest.fixture(params=["", CURL], ids=["own", "curl"])
def archive(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Archive:
    """With what fetches by itself, and with the user's command."""
    made = Archive(tmp_path, monkeypatch, capsys, settings={"DOWNLOAD": request.param})
    made.installer()
    return made


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@pytest.mark.seed("s49", "s54", "s47", "s48")
def test_the_pre_boot_loader_is_downloaded(archive: Archive) -> None:
    archive.put("pxelinux.0", b"loader")
    assert archive.run() == 0
    assert archive.loader().read_bytes() == b"loader"


@pytest.mark.seed("s49", "s54")
def test_a_missing_pre_boot_loader_is_ignored_with_a_note(archive: Archive) -> None:
    assert archive.run() == 0
    assert not archive.loader().exists()
    assert "netboot/ubuntu-installer/i386/pxelinux.0; it is left out" in archive.told
    assert archive.install().is_dir()


@pytest.mark.seed("s49", "s54")
def test_the_pre_boot_loader_is_updated(archive: Archive) -> None:
    archive.put("pxelinux.0", b"old loader")
    archive.run()
    archive.put("pxelinux.0", b"new loader")
    assert archive.run() == 0
    assert archive.loader().read_bytes() == b"new loader"


@pytest.mark.seed("s49", "s54")
def test_an_unchanged_pre_boot_loader_is_left_alone(archive: Archive) -> None:
    archive.put("pxelinux.0", b"loader")
    archive.run()
    before = _stamp(archive.loader())
    assert archive.run() == 0
    assert _stamp(archive.loader()) == before


@pytest.mark.seed("s52", "s53", "s54", "s41", "s48")
def test_the_install_files_are_downloaded(archive: Archive) -> None:
    assert archive.run() == 0
    assert sorted(os.listdir(archive.install())) == ["initrd.gz", "linux"]
    assert (archive.install() / "linux").read_bytes() == b"linux old precise i386"
    assert (archive.install() / "initrd.gz").read_bytes() == b"initrd.gz old precise i386"


@pytest.mark.seed("s51", "s52", "s54")
@pytest.mark.parametrize("changed", ["linux", "initrd.gz"])
def test_the_install_files_are_updated(archive: Archive, changed: str) -> None:
    archive.run()
    archive.put(changed, b"LINUX old precise i386"[: 22 if changed == "linux" else 5])
    assert archive.run() == 0
    for name in ("linux", "initrd.gz"):
        wanted = (archive.netboot() / name).read_bytes()
        assert (archive.install() / name).read_bytes() == wanted
    assert archive.left() == []


@pytest.mark.seed("s51", "s52", "s54")
def test_unchanged_install_files_are_not_touched(archive: Archive) -> None:
    """Seconds apart too: the user's script passed its own test within one second only."""
    archive.run()
    paths = [archive.install(), *sorted(archive.install().iterdir())]
    long_ago = time.time_ns() - 5_000_000_000
    for path in reversed(paths):
        os.utime(path, ns=(long_ago, long_ago))
    before = [_stamp(path) for path in paths]
    assert archive.run() == 0
    assert [_stamp(path) for path in paths] == before
    assert f"{archive.install()} is up to date" in archive.told


@pytest.mark.seed("s54", "s47", "s53")
def test_two_releases_for_two_architectures(archive: Archive) -> None:
    archive.releases, archive.arches = ("xenial", "precise"), ("amd64", "i386")
    for arch in archive.arches:
        archive.put("pxelinux.0", f"loader {arch}".encode(), "xenial", arch)
        for release in archive.releases:
            archive.installer(release, arch)
    assert archive.run() == 0
    found = {
        path.relative_to(archive.tftproot).as_posix(): path.read_bytes().decode()
        for path in archive.tftproot.rglob("*")
        if path.is_file()
    }
    assert found == {
        f"maas/{arch}/base/{release}/install/{name}": f"{name} old {release} {arch}"
        for arch in archive.arches
        for release in archive.releases
        for name in ("linux", "initrd.gz")
    } | {f"maas/{arch}/base/pxelinux.0": f"loader {arch}" for arch in archive.arches}


@pytest.mark.seed("s45", "s53")
@pytest.mark.parametrize("name", ["linux", "initrd.gz"])
def test_a_file_that_cannot_be_had_fails_the_run_by_name(archive: Archive, name: str) -> None:
    archive.run()
    before = [_stamp(path) for path in sorted(archive.install().iterdir())]
    archive.installer(word="new")
    (archive.netboot() / name).unlink()
    assert archive.run() == 1
    assert f"ubuntu-installer/i386/{name} was not found" in archive.failed
    assert [_stamp(path) for path in sorted(archive.install().iterdir())] == before
    assert archive.left() == []


@pytest.mark.seed("s53")
def test_files_are_readable_by_all_whatever_the_umask(archive: Archive) -> None:
    archive.put("pxelinux.0", b"loader")
    before = os.umask(0o077)
    try:
        assert archive.run() == 0
    finally:
        os.umask(before)
    for path in archive.tftproot.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert archive.tftproot.stat().st_mode & 0o005


@pytest.mark.seed("s50", "s53")
def test_what_killed_runs_left_behind_is_removed(archive: Archive) -> None:
    archive.run()
    folder = archive.install().parent
    for name in (".install.new", ".install.old"):
        (folder / name).mkdir()
        (folder / name / "linux").write_bytes(b"half")
    (archive.tftproot / "maas/.import-netboot-killed").mkdir()
    assert archive.run() == 0
    assert archive.left() == []
    assert (archive.install() / "linux").read_bytes() == b"linux old precise i386"


@pytest.mark.seed("s48")
@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_urls_have_single_slashes(
    mirror: Any, archive: Archive, tmp_path: Path, ending: str
) -> None:
    archive.settings = {"ARCHIVE": f"{mirror.url}/ubuntu//dists{ending}", "DOWNLOAD": ""}
    base = "/ubuntu/dists/precise/main/installer-i386/current/images/netboot/ubuntu-installer/i386/"
    mirror.files |= {base + "linux": b"kernel", base + "initrd.gz": b"initrd"}
    assert archive.run() == 0
    assert {base + "linux", base + "initrd.gz", base + "pxelinux.0"} <= set(mirror.paths())
    assert not [path for path in mirror.paths() if "//" in path]


def test_checksums_of_the_archive_are_held_to(mirror: Any, archive: Archive) -> None:
    archive.settings = {"ARCHIVE": mirror.url, "DOWNLOAD": ""}
    images = "/precise/main/installer-i386/current/images/"
    inside = "netboot/ubuntu-installer/i386/"
    mirror.files |= {images + inside + name: name.encode() for name in ("linux", "initrd.gz")}
    sums = "".join(
        f"{hashlib.sha256(name.encode()).hexdigest()}  ./{inside}{name}\n"
        for name in ("linux", "initrd.gz")
    )
    mirror.files[images + "SHA256SUMS"] = sums.encode()
    assert archive.run() == 0
    # The archive moves on between one file and the other: a mix is never installed.
    mirror.files[images + inside + "initrd.gz"] = b"of the next build"
    assert archive.run() == 1
    assert "initrd.gz was fetched with SHA-256" in archive.failed
    assert (archive.install() / "initrd.gz").read_bytes() == b"initrd.gz"


def test_a_second_run_at_the_same_time_is_refused(archive: Archive) -> None:
    archive.run()
    holder = os.open(archive.tftproot / "maas", os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert archive.run() == 1
    finally:
        os.close(holder)
    assert "Another import-netboot works on" in archive.failed


@pytest.mark.seed("s46")
def test_settings_come_from_environment_then_file_then_defaults(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings"
    file.write_text(f'ARCHES="amd64"\nTFTPROOT={tmp_path}/other\n')
    assert archive.run("--settings", str(file)) == 0
    assert archive.install().is_dir()
    assert not (tmp_path / "other").exists()
    monkeypatch.delenv("TFTPROOT")
    archive.settings |= {"TFTPROOT": ""}
    assert archive.run("--settings", str(file)) == 0
    assert (tmp_path / "other/maas/i386/base/precise/install/linux").is_file()


@pytest.mark.seed("s46")
def test_nothing_in_the_working_directory_is_read_or_run(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cwd = tmp_path / "cwd"
    for name in ("etc/maas/import_isos", "etc/drophammer/import-netboot"):
        path = cwd / name
        path.parent.mkdir(parents=True)
        path.write_text(f"touch {tmp_path}/pwned\nTFTPROOT={tmp_path}/pwned\n")
    monkeypatch.chdir(cwd)
    assert archive.run() == 0
    assert not (tmp_path / "pwned").exists()


@pytest.mark.seed("s43")
def test_file_urls_need_a_folder_that_is_allowed(archive: Archive) -> None:
    archive.settings["ARCHIVE"] = "file:///etc/"
    assert archive.run() == 1
    assert "outside of the allowed folders" in archive.failed


@pytest.mark.seed("s53")
def test_a_run_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import time; open({str(ready)!r}, 'w').close(); time.sleep(60)"
    os.mkfifo(ready)
    environment = {
        **os.environ,
        "ARCHIVE": "http://host.example/",
        "RELEASES": "precise",
        "CURRENT_RELEASE": "precise",
        "TFTPROOT": str(tmp_path / "tftproot"),
        "DOWNLOAD": f'{sys.executable} -c "{code}"',
    }
    child = subprocess.Popen([sys.executable, "-m", "embedded", "import-netboot"], env=environment)
    ready.read_bytes()  # until the download has begun
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path / "tftproot/maas") == []


def _put(target: Path, word: str, possible: bool) -> None:
    recover(target)
    new = fresh(target)
    new.mkdir()
    for name in ("linux", "initrd.gz"):
        (new / name).write_text(word)
    replace_folder(new, target, exchange if possible else lambda one, other: False)


KILLED = f"""
import sys
from pathlib import Path
from netboot.importing.exchange import exchange, fresh, recover, replace_folder
{inspect.getsource(_put)}
_put(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True")
"""
SWAP = ("fsync", "rename", "renameat2", "unlinkat", "rmdir")
ALL = ("mkdir", "write", "fchmod", "chmod", "flock", *SWAP)


def _traced(target: Path, word: str, possible: bool, *options: str) -> int:
    argv = [
        "strace",
        "-f",
        "-qq",
        *options,
        sys.executable,
        "-c",
        KILLED,
        str(target),
        word,
        str(possible),
    ]
    return subprocess.run(argv, check=False, capture_output=True).returncode


def _content(folder: Path) -> set[str]:
    """The one word that both files must have; empty when the folder is not there."""
    if not folder.exists():
        return set()
    assert sorted(os.listdir(folder)) == ["initrd.gz", "linux"]
    return {(folder / name).read_text() for name in ("linux", "initrd.gz")}


@pytest.mark.seed("s50")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("possible", [True, False], ids=["exchange", "without"])
def test_a_swap_that_is_killed_at_any_system_call_leaves_the_old_or_the_new(
    tmp_path: Path, possible: bool
) -> None:
    target = tmp_path / "install"
    _put(target, "old", possible)
    seen = []
    for call in SWAP:
        for when in range(1, 20):
            inject = f"inject={call}:signal=KILL:when={when}"
            trace = ("-e", f"trace={call}", "-e", inject)
            done = _traced(target, "new", possible, *trace) == 0
            found = _content(target)
            # Without renameat2 there is an instant with neither; the next run puts it right.
            assert len(found) == 1 or not possible
            seen += found
            _put(target, "old", possible)
            assert _content(target) == {"old"}
            assert os.listdir(tmp_path) == ["install"]
            if done:
                assert found == {"new"}
                break
        else:
            pytest.fail(f"the run never came to its end, killed at {call}")
    assert set(seen) == {"old", "new"}
    assert len(seen) > 2 * len(SWAP)


@pytest.mark.slow
@pytest.mark.seed("s50", "s53")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("archive", [""], ids=["own"], indirect=True)
@pytest.mark.parametrize("call", ALL)
def test_a_run_that_is_killed_at_any_system_call_does_no_harm(archive: Archive, call: str) -> None:
    archive.put("pxelinux.0", b"old")
    assert archive.run() == 0
    argv = [sys.executable, "-m", "embedded", "import-netboot"]
    argv += ["--allow-files", str(archive.root / "archive")]
    for when in range(1, 40):
        word = f"new {when}"
        before = (archive.install() / "linux").read_bytes()
        archive.installer(word=word)
        archive.put("pxelinux.0", word.encode())
        inject = f"inject={call}:signal=KILL:when={when}"
        trace = ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", inject]
        done = subprocess.run([*trace, *argv], check=False, capture_output=True)
        linux, initrd = (
            (archive.install() / name).read_bytes().decode() for name in ("linux", "initrd.gz")
        )
        assert linux.partition(" ")[2] == initrd.partition(" ")[2]
        assert linux in (before.decode(), f"linux {word} precise i386")
        assert archive.loader().read_bytes()
        if done.returncode == 0:
            assert when > 1
            return
        assert archive.run() == 0
        assert archive.left() == []
        assert (archive.install() / "linux").read_text() == f"linux {word} precise i386"
    pytest.fail("the run never came to its end")
