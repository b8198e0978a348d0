"""How long tests wait, and what they call at once: on a machine that stands still for seconds
now and then, which no test is to fail of.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# For what comes true. Nobody waits that long while all is well.
PATIENCE = 60.0
# What takes less has not waited for something that takes ``PATIENCE``, or for ever.
AT_ONCE = 20.0


def until(
    true: Callable[[], T | None], told: Callable[[], object] = lambda: "", pause: float = 0.01
) -> T:
    """What ``true`` returns, once that is something. ``told`` says what there is instead."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, told()
        time.sleep(pause)
    return found
