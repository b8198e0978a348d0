"""For tests with IPv6 addresses in namespaces of their own."""

from __future__ import annotations

import subprocess

from drophammer.netns import Namespace
from tests.patience import until


def until_local(address: str, card: str, namespace: Namespace) -> None:
    """Wait until packets to an IPv6 address of ours arrive.

    The kernel makes the route for it in the background, after ``ip address add`` has
    returned. Before that, what we send to ourselves goes out by the card and is lost.
    """
    argv = namespace.command(["ip", "-6", "route", "get", address, "oif", card])

    def route() -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    until(lambda: route().startswith("local "), route, pause=0.005)
