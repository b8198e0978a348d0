"""Downloads through apt, and a build that is interrupted; apt and dpkg are stand-ins."""

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from drophammer.errors import NotFound, Unavailable
from ramdisk import cli, packages
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
APT_CACHE = """\
case "$*" in
show*) echo "Package: one" ;;
*linux-image-*) echo "  Depends: linux-image-6.1.0-1-amd64" ;;
*) echo "  PreDepends: python3.11-minimal" ;;
esac
"""
APT_GET = f"""\
for word in "$@"; do
    case $word in
    --print-uris) only_say=1 ;;
    -* | *::* | download) ;;
    unknown) ;;
    *) if [ "$only_say" ]; then
            echo "'http://archive/$word' ${{word}}_1_all.deb 1 SHA256:{sha256(b"deb").hexdigest()}"
        else
            printf "${{content:-deb}}" >"${{word}}_1_all.deb"
        fi ;;
    esac
done
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The folder of stand-ins, before all others in PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET)):
        write_program(folder / name, text)
    return folder


def write_program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def test_a_download_is_announced_only_when_there_is_one(programs, tmp_path):
    said = []
    wanted = packages.lookup(["one", "two"])
    files = packages.fetch(wanted, tmp_path / "cache", said.append)
    assert [file.name for file in files] == ["one_1_all.deb", "two_1_all.deb"]
    assert said == ["downloading 2 packages"]
    packages.fetch(wanted, tmp_path / "cache", said.append)
    packages.fetch(packages.lookup(["two", "three"]), tmp_path / "cache", said.append)
    assert said == ["downloading 2 packages", "downloading 1 package"]


def test_a_package_with_the_wrong_content_does_not_get_into_the_cache(
    programs, tmp_path, monkeypatch
):
    monkeypatch.setenv("content", "something else")
    with pytest.raises(Unavailable, match="one did not arrive"):
        packages.fetch(packages.lookup(["one"]), tmp_path, print)
    assert list((tmp_path / "debs").iterdir()) == []


def test_a_package_that_apt_does_not_know_is_named(programs):
    with pytest.raises(NotFound, match="unknown"):
        packages.lookup(["one", "unknown"])


def test_an_interrupted_build_says_so_and_leaves_nothing_half_made(programs, tmp_path):
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    write_program(programs / "dpkg-deb", f"echo >{begun}\nexec sleep 60\n")
    argv = [sys.executable, "-m", "embedded", "ramdisk", "build"]
    argv += ["--output", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    build = subprocess.Popen(
        argv,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        # A runner in the background may ignore it, and programs inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    begun.read_text()
    os.killpg(build.pid, signal.SIGINT)
    said = build.communicate(timeout=PATIENCE)[1]
    assert build.returncode == 130
    assert "Traceback" not in said
    assert said.endswith("drophammer ramdisk build: interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_may_be_named_as_seen_from_here(programs, tmp_path, monkeypatch, capsys):
    # The ramdisk's own programs are run from elsewhere on the way.
    write_program(programs / "dpkg-deb", 'echo "into $3" >&2; exit 1\n')
    monkeypatch.chdir(tmp_path)
    assert cli.main(["build", "--output", "out", "--cache-dir", "cache"]) == 1
    assert f"into {tmp_path}/out/" in capsys.readouterr().err


def test_the_help_says_what_each_command_does(capsys):
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr()
    assert "  build     build kernel and ramdisk" in said.out
    assert said.err == ""


def test_a_command_that_is_none_gets_the_help(capsys):
    assert cli.main(["bake"]) == 2
    assert "usage: drophammer ramdisk" in capsys.readouterr().err
