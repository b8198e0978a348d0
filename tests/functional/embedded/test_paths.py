"""Where ``drophammer serve`` looks for what it is not told of."""

from __future__ import annotations

from pathlib import Path

from embedded.options import load
from netboot.settings import Settings


def test_the_ramdisk_lies_where_netboot_may_take_it_from_behind_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "boot").symlink_to("disk")
    config = tmp_path / "drophammer.conf"
    config.write_text(
        f"[DEFAULT]\nstate_dir = {tmp_path}/state\n[netboot]\nboot_dir = {tmp_path}/boot\n"
    )
    conf = load([config])
    (root,) = Settings.from_conf(conf).kernel_roots()
    assert conf.conductor.deploy_kernel == f"file://{root}/vmlinuz"
    assert conf.conductor.deploy_ramdisk == f"file://{root}/initrd"
