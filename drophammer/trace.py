"""Which request this thread works for, and on which node: for the log, from role to role.

The id goes with calls over the bus, is kept with the operation that the request began, and
is told to the agent: one word finds all that a request has led to, on whichever host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from drophammer.model import new_uuid

HEADER = "X-Openstack-Request-Id"
_FORM = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_REQUEST: ContextVar[str] = ContextVar("request", default="")
_NODE: ContextVar[str] = ContextVar("node", default="")


def new() -> str:
    """An id for a request that brings none."""
    return f"req-{new_uuid()}"


def well_formed(text: object) -> bool:
    """Whether somebody else's text is taken for the id of a request."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def request() -> str:
    """The id of the request that this thread works for; empty when there is none."""
    return _REQUEST.get()


def node() -> str:
    """The UUID of the node that this thread works on; empty when there is none."""
    return _NODE.get()


def begin(request_id: str) -> None:
    """From here on this thread works for a request: the next one begins with another call."""
    _REQUEST.set(request_id)
    _NODE.set("")


def on_node(uuid: str) -> None:
    """From here on this thread works on a node, until it begins with another request."""
    _NODE.set(uuid)


@contextmanager
def carried(request_id: str, uuid: str = "") -> Iterator[None]:
    """Work for a request, and on a node, within the block."""
    former, place = _REQUEST.set(request_id), _NODE.set(uuid)
    try:
        yield
    finally:
        _REQUEST.reset(former)
        _NODE.reset(place)
