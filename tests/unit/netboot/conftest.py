"""A boot spec as the conductor would write it."""

from __future__ import annotations

import pytest

from drophammer.bootspec import BootSpec


@pytest.fixture
def spec() -> BootSpec:
    return BootSpec(
        node_uuid="5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11",
        purpose="deploy",
        loader="pxe",
        kernel="file:///srv/boot/vmlinuz",
        ramdisk="file:///srv/boot/initrd",
        parameters=("console=ttyS0", "panic=10"),
        key="k3y_abcdefgh",
    )
