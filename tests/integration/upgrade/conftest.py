"""What is waited for before two processes are asked for something."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import urllib3

from cluster.role import Role
from tests.patience import PATIENCE


@pytest.fixture
def ready() -> Callable[..., None]:
    """Wait until processes are fit to work: a conductor is known to the APIs by then."""

    def until(*roles: Role) -> None:
        end = time.monotonic() + PATIENCE
        for role in roles:
            while (answer := urllib3.request("GET", f"{role.url}/readyz")).status != 200:
                assert time.monotonic() < end, answer.data
                time.sleep(0.05)

    return until
