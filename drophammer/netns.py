"""Sockets in another network namespace.

A socket belongs for life to the namespace it was made in, so one process can
answer on the host's loopback and on an isolated provisioning network at once.
``setns(2)`` moves a *thread*; each socket is therefore made in a short-lived
thread of its own that enters the namespace, makes it and ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from drophammer.errors import Invalid

CLONE_NEWNET = 0x40000000
RUN_DIR = "/run/netns"

T = TypeVar("T")


class Namespace:
    """A named network namespace, or the one this process is in when ``name`` is empty."""

    def __init__(self, name: str = "") -> None:
        if "/" in name or name in (".", ".."):
            raise ValueError(f"{name!r} is not the name of a network namespace")
        self.name = name

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` inside the namespace and return what it returns.

        Raises OSError when the namespace does not exist or may not be entered
        (root only).
        """
        if not self.name:
            return function()
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                _enter(os.path.join(RUN_DIR, self.name))
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=inside, name=f"netns-{self.name}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def check(self) -> None:
        """Raise Invalid, with the reason, when this process cannot enter the namespace."""
        try:
            self.call(lambda: None)
        except OSError as error:
            raise Invalid(
                f"The network namespace {self.name!r} cannot be entered: {error.strerror}. It must "
                "exist (`ip netns`), and entering one needs root."
            ) from error

    def socket(self, family: int, kind: int) -> socket.socket:
        """A new unbound socket inside the namespace."""
        return self.call(lambda: socket.socket(family, kind))

    def command(self, argv: list[str]) -> list[str]:
        """``argv`` as it must be executed to run inside the namespace, under the same pid.

        nsenter and not ``ip netns exec``: that also makes a mount namespace, which
        fails where / is not a mount point, as in a chroot.
        """
        return ["nsenter", f"--net={RUN_DIR}/{self.name}", *argv] if self.name else argv


def _enter(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(fd)
