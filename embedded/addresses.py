"""Addresses as they are configured, and listening on them."""

from __future__ import annotations

import socket

from drophammer.errors import Invalid
from drophammer.netns import Namespace

BACKLOG = 1024


def listener(namespace: Namespace, where: tuple[str, int]) -> socket.socket:
    """A listening TCP socket. Raises Invalid naming address, reason and remedy."""
    host, port = where
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = namespace.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise Invalid(
            f"Cannot listen on {shown(host)}:{port}: {error.strerror}. Is another service there? "
            "Choose another address with --listen HOST:PORT."
        ) from error
    return made


def split_address(text: str, what: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[v6]:PORT`` in its parts. Raises Invalid."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise Invalid(f"{what}: {text!r} is not HOST:PORT.")
    if int(port) > 65535:
        raise Invalid(f"{what}: {port} is no port; they end at 65535.")
    return host, int(port)


def shown(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
