"""What the builder refuses, and that it leaves a finished ramdisk alone."""

import pytest

from drophammer.errors import Invalid, NotFound
from ramdisk import build, packages


def test_an_unknown_kernel_flavour_is_refused(tmp_path):
    with pytest.raises(Invalid, match="rt-amd64"):
        build.build(tmp_path, cache_dir=tmp_path, kernel_flavour="rt-amd64")


def test_a_finished_ramdisk_is_known_by_its_version(tmp_path):
    ramdisk = build.Ramdisk(tmp_path / "vmlinuz", tmp_path / "initrd", "1 one")
    assert not build._is_built(ramdisk)
    for name, text in (("vmlinuz", ""), ("initrd", ""), ("ramdisk.version", "1 one\n")):
        (tmp_path / name).write_text(text)
    assert build._is_built(ramdisk)
    assert not build._is_built(build.Ramdisk(ramdisk.kernel, ramdisk.initrd, "2 two"))


def test_a_missing_apt_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="apt-cache"):
        packages.dependencies("python3-minimal")


def test_the_command_says_what_is_wrong_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main(["--output", str(tmp_path / "out"), "--cache-dir", str(tmp_path)]) == 1
    assert "apt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
