"""For tests with IPv6 addresses in namespaces of their own."""

from __future__ import annotations

import subprocess
import time

from drophammer.netns import Namespace


def until_local(address: str, card: str, namespace: Namespace) -> None:
    """Wait until packets to an IPv6 address of ours arrive.

    The kernel makes the route for it in the background, after ``ip address add`` has
    returned. Before that, what we send to ourselves goes out by the card and is lost.
    """
    argv = namespace.command(["ip", "-6", "route", "get", address, "oif", card])
    limit = time.monotonic() + 10
    while True:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
        if done.stdout.startswith("local "):
            return
        assert time.monotonic() < limit, done.stdout or done.stderr
        time.sleep(0.005)
