"""The firmware of a machine is found wherever clients put it."""

from __future__ import annotations

from typing import Any

import pytest

from conductor.bootmode import boot_mode
from conductor.settings import Settings
from drophammer.model import Node


@pytest.mark.parametrize(
    ("instance", "properties", "known", "expected"),
    [
        (None, None, None, "uefi"),
        (None, None, "bios", "bios"),
        (None, "boot_mode:bios", None, "bios"),
        (None, "cpu_vt:true, boot_mode: bios", None, "bios"),
        (None, '{"boot_mode": "bios"}', "uefi", "bios"),
        ({"boot_mode": "bios"}, "boot_mode:uefi", None, "bios"),
        ("boot_mode:cuckoo", None, "bios", "bios"),
        ("{broken", None, "bios", "bios"),
        (7, ["x"], None, "uefi"),
    ],
)
def test_the_operator_wins_over_inspection_over_the_default(
    instance: Any, properties: Any, known: str | None, expected: str
) -> None:
    node = Node(
        instance_info={"capabilities": instance},
        properties={"capabilities": properties},
        boot_mode=known,
    )
    assert boot_mode(node, Settings()) == expected
