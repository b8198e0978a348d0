"""The initramfs archive, unpacked again by the cpio program."""

import io
import os
import shutil
import subprocess

import pytest

from ramdisk import cpio

pytestmark = pytest.mark.skipif(not shutil.which("cpio"), reason="the cpio program is the judge")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "bin/deep").mkdir(parents=True)
    (root / "bin/deep/program").write_bytes(b"\x7fELF" + bytes(1001))
    (root / "bin/deep/program").chmod(0o755)
    (root / "bin/link").symlink_to("deep/program")
    (root / "empty").write_bytes(b"")
    return root


def archive(root):
    out = io.BytesIO()
    cpio.write_archive(root, out)
    return out.getvalue()


def listed(data):
    done = subprocess.run(
        ["cpio", "-itv", "--quiet", "--numeric-uid-gid"],
        input=data,
        capture_output=True,
        check=True,
    )
    return {line.split()[8]: line.split() for line in done.stdout.decode().splitlines()}


def test_content_modes_and_links_come_back(tree, tmp_path):
    target = tmp_path / "back"
    target.mkdir()
    subprocess.run(
        ["cpio", "-id", "--quiet", "bin*", "empty"], input=archive(tree), cwd=target, check=True
    )
    program = target / "bin/deep/program"
    assert program.read_bytes() == (tree / "bin/deep/program").read_bytes()
    assert os.access(program, os.X_OK)
    assert os.readlink(target / "bin/link") == "deep/program"
    assert (target / "empty").read_bytes() == b""


def test_the_console_is_there_for_the_first_program(tree):
    text = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=archive(tree), capture_output=True, check=True
    ).stdout.decode()
    (line,) = [line for line in text.splitlines() if line.endswith("dev/console")]
    assert line.startswith("crw-------")
    assert "5,   1" in line


def test_everything_belongs_to_root(tree):
    assert all(words[2:4] == ["0", "0"] for words in listed(archive(tree)).values())


def test_the_same_tree_gives_the_same_bytes_whenever_it_was_made(tree):
    first = archive(tree)
    os.utime(tree / "empty", (1, 1))
    assert archive(tree) == first


def test_parents_come_before_their_children(tree):
    names = list(listed(archive(tree)))
    assert names.index("bin") < names.index("bin/deep") < names.index("bin/deep/program")
