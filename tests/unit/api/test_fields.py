"""The table of fields, and checks against schemas."""

from __future__ import annotations

import time

import pytest

from api import patch
from api.node_fields import NODE
from drophammer.errors import Invalid


def test_the_first_error_is_enough() -> None:
    started = time.thread_time()
    with pytest.raises(Invalid, match=r"JSON patch: 0: .*object"):
        patch.parse([[]] * 200_000, NODE, 115)
    # All of them take some seconds and hundreds of megabytes.
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("protected", "True", True),
        ("retired", "off", False),
        ("automated_clean", " yes ", True),
        ("automated_clean", None, None),
        ("protected", "perhaps", "perhaps"),
        ("name", "true", "true"),
        ("extra", "true", "true"),
        ("boot_mode", "on", "on"),
    ],
)
def test_a_word_for_yes_or_no_is_meant_so_where_one_is_asked_for(name, value, meant) -> None:
    assert NODE.fields[name].meant(value) == meant
