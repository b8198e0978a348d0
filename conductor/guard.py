"""The lease under which this thread works, for those who send something to a machine.

Power controllers and agents know nothing of fences: whoever sends to them asks here
first, as late as can be. Work without a lease (a question asked for the API, the
power state of many machines) is not held back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from drophammer.store import Lease

_LEASE: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def under(lease: Lease) -> Iterator[None]:
    """What this thread sends within the block is sent in the name of ``lease``."""
    token = _LEASE.set(lease)
    try:
        yield
    finally:
        _LEASE.reset(token)


def seconds_left(wanted: float) -> float:
    """``wanted``, or less: the seconds for which this thread may still speak to machines.

    Raises LeaseLost when it may not.
    """
    lease = _LEASE.get()
    return wanted if lease is None else min(wanted, lease.left())
