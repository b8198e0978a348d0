"""Notifications about what the API does: begun, done, or not done after all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drophammer import notifications, payloads
from drophammer.errors import DrophammerError
from drophammer.notifications import END, ERROR, START
from drophammer.payloads import Payload

ROLE = "api"
Read = Callable[[], Mapping[str, Any]]


@contextmanager
def announced(noun: str, action: str, read: Read) -> Iterator[None]:
    """Tell of creating, updating or deleting what ``read`` returns, before and behind."""
    name, payload = payloads.CRUD.get(noun, ("", payloads.NODE))
    if not name or not notifications.on():
        yield
        return
    with _told(f"{name}.{action}", payload, read):
        yield


@contextmanager
def node_announced(action: str, read: Read) -> Iterator[None]:
    """The same for what is done to a node by a verb, such as maintenance_set."""
    if not notifications.on():
        yield
        return
    with _told(f"node.{action}", payloads.NODE, read):
        yield


@contextmanager
def _told(what: str, payload: Payload, read: Read) -> Iterator[None]:
    try:
        before = read()
    except DrophammerError:
        yield  # Nothing that could be told of: what is asked for is about to be refused.
        return

    def tell(status: str, row: Mapping[str, Any]) -> None:
        notifications.emit(ROLE, what, status, lambda: payload.of(row))

    tell(START, before)
    try:
        yield
    except Exception:
        tell(ERROR, before)
        raise
    try:
        after = read()
    except DrophammerError:
        after = before  # It is gone, as it should be.
    tell(END, after)
