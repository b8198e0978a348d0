"""Calls of what the same process serves: they stay in it, and need no broker.

To write a letter, have it carried and read, and the same for the answer, is a third of what
it costs an API and a conductor to begin something and see it through.
"""

from __future__ import annotations

from typing import Any

from drophammer.bus import Bus, LocalBus, Served, split
from drophammer.clock import Clock


class NearBus:
    """What is served here is called here, unless it has enough to do; all else goes ``far``.

    ``clock`` is the store's.
    """

    def __init__(self, far: Bus, clock: Clock | None = None) -> None:
        self._far = far
        self._near = LocalBus(clock=clock)
        self._here: dict[str, _Here] = {}

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        return self._for(address).call(address, method, **arguments)

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        self._for(address).cast(address, method, **arguments)

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        near = self._near.serve(topic, endpoint, host)
        here = _Here(host, endpoint, near, self._far.serve(topic, endpoint, host))
        self._here[topic] = here
        return here

    def trouble(self) -> str:
        return self._far.trouble()

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def _for(self, address: str) -> Bus:
        topic, server = split(address)
        here = self._here.get(topic)
        return self._near if here is not None and here.takes(server) else self._far


class _Here:
    """What is served in this process, under the name of its host, and for others besides."""

    def __init__(self, host: str, endpoint: object, near: Served, far: Served) -> None:
        self._host = host
        self._has_room = getattr(endpoint, "has_room", lambda: True)
        self._served = (near, far)
        self._stopped = False

    def takes(self, server: str) -> bool:
        """Whether a call for that server, or for any, had better be made here.

        Of what any server may take, another one takes what is too much for this one.
        """
        if self._stopped:
            return False
        return server == self._host or (not server and self._has_room())

    def stop(self) -> None:
        self._stopped = True
        for served in self._served:
            served.stop()
