"""``drophammer images add``: an image given by hand, to the snapshot machines boot from."""

from __future__ import annotations

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
