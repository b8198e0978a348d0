"""Makes the pauses of the clients short: they poll every 20 ms, not every two seconds.

Only the length of their pauses changes; how long they are willing to wait in all is
measured by their own clocks as ever. Importing it is enough for openstacksdk, so it
can be a pytest plugin of that one's own suite.
"""

from __future__ import annotations

import time
from typing import Any

import keystoneauth1.session
import openstack.utils

LONGEST = 0.02


class Hasty:
    """The module ``time`` for somebody who cannot wait."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, LONGEST))


def hurry(*modules: Any) -> None:
    """Let openstacksdk, and these modules of another client, pause shortly."""
    for module in (openstack.utils, keystoneauth1.session, *modules):
        module.time = Hasty()


hurry()
