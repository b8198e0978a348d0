"""``drophammer images add``: an image given by hand, to the snapshot machines boot from."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.imagescmd import main

IMAGE = "ubuntu/amd64/generic/noble/custom"


@pytest.fixture
def images(tmp_path: Path, config: Path) -> Callable[..., int]:
    def run(command: str, *arguments: str) -> int:
        where = ["--config-file", str(config), "--state-dir", str(tmp_path / "state")]
        return main([command, *where, *arguments])

    (tmp_path / "state").mkdir()
    return run


def test_an_image_given_by_hand_is_imported(
    images: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel, initrd = tmp_path / "vmlinuz", tmp_path / "initrd.img"
    kernel.write_bytes(b"kernel")
    initrd.write_bytes(b"initrd")
    assert images("add", IMAGE, "--kernel", str(kernel), "--initrd", str(initrd)) == 0
    assert f"{IMAGE}/boot-kernel" in capsys.readouterr().out
    assert images("import") == 0
    current = tmp_path / "state/boot-resources/current"
    assert (current / IMAGE / "boot-kernel").read_bytes() == b"kernel"
    assert (current / IMAGE / "boot-initrd").read_bytes() == b"initrd"


def test_an_image_that_cannot_be_is_a_sentence(
    images: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert images("add", "../../etc/x/y", "--kernel", "/etc/hostname") == 1
    assert images("add", IMAGE, "--root", str(tmp_path / "none")) == 1
    assert images("add", IMAGE) == 1
    told = capsys.readouterr().err
    assert "cannot stand in the name" in told
    assert "none is not a file" in told
    assert "would be empty" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which goes on as somebody else")
def test_a_file_that_the_service_s_user_may_not_read_is_a_sentence(
    run: Callable[..., tuple[int, str, str]], config: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        here.chmod(0o755)
        (here / "state").mkdir()
        os.chown(here / "state", 65534, 65534)
        (here / "drophammer.conf").write_text(config.read_text())
        (here / "mine").mkdir(mode=0o700)
        for name in ("vmlinuz", "mine/vmlinuz"):
            (here / name).write_bytes(b"kernel")
            (here / name).chmod(0o600)
            for option in ("--kernel", "--root"):
                where = ["--config-file", str(here / "drophammer.conf")]
                where += ["--state-dir", str(here / "state")]
                code, _, said = run("images", "add", IMAGE, *where, option, str(here / name))
                assert code == 1
                assert f"{here / name} is not a file that can be read by user 65534" in said
                assert "Permission denied" in said
                assert "Traceback" not in said
