"""Calls of what the same process serves: they stay in it, and need no broker.

To write a letter, have it carried and read, and the same for the answer, is a quarter of
what it costs an API and a conductor to begin something and see it through.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol, cast, runtime_checkable

from drophammer.bus import Bus, LocalBus, Served
from drophammer.clock import Clock
from drophammer.errors import DeadlineExceeded, Unavailable

STOP_SECONDS = 2.5


class Load(Protocol):
    """How much somebody has to do."""

    @property
    def has_room(self) -> bool:
        """Whether what begins now is done now, and not put off."""


@runtime_checkable
class Loaded(Protocol):
    """An endpoint that tells how much it has to do: any of its kind can do what it can."""

    load: Load


class NearBus:
    """Calls for any server of a topic that is served here are made here; all others go ``far``.

    So do calls for one server by its name, which others may have too, and those for
    whoever does not tell how much he has to do. ``clock`` is the store's.
    """

    def __init__(self, far: Bus, clock: Clock | None = None) -> None:
        self._far = far
        self._near = LocalBus(clock=clock)
        self._here: dict[str, _Here] = {}

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        here = self._here.get(address)
        if here is None or here.stopped:
            return self._far.call(address, method, **arguments)
        if here.load.has_room:
            first, second = cast(Bus, self._near), self._far
        else:
            first, second = self._far, self._near
        try:
            return first.call(address, method, **arguments)
        except DeadlineExceeded:
            raise  # It may have been done.
        except Unavailable:
            # Then nothing was. It can still be where the other one takes it: far away when
            # we are stopping, else here, where it has to wait for its turn.
            if here.stopped == (first is self._far):
                raise
        return second.call(address, method, **arguments)

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        here = self._here.get(address)
        near = here is not None and not here.stopped and here.load.has_room
        (self._near if near else self._far).cast(address, method, **arguments)

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        far = self._far.serve(topic, endpoint, host)
        if not isinstance(endpoint, Loaded):
            return far
        here = _Here(endpoint.load, far, self._near.serve(topic, endpoint, host))
        self._here[topic] = here
        return here

    def trouble(self) -> str:
        return self._far.trouble()

    def close(self) -> None:
        for here in self._here.values():
            here.stop()
        self._far.close()


class _Here:
    """What is served in this process, and for others besides."""

    def __init__(self, load: Load, *served: Served) -> None:
        self.load = load
        self.stopped = False
        self._served = served

    def stop(self) -> None:
        """Both at once, and not for longer than anybody waits for that."""
        if self.stopped:
            return
        self.stopped = True
        stopping = [
            threading.Thread(target=served.stop, name="bus-stop", daemon=True)
            for served in self._served
        ]
        for thread in stopping:
            thread.start()
        end = time.monotonic() + STOP_SECONDS
        for thread in stopping:
            thread.join(max(0.0, end - time.monotonic()))
