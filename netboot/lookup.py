"""The one question that every boot protocol asks: what does this machine boot?

Each method is one or two short reads of the database and blocks for as long;
callers on an event loop go through a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from drophammer import boots
from drophammer.bootspec import BootSpec
from drophammer.errors import NotFound, Unavailable
from drophammer.model import Port
from drophammer.store import Store

T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """A machine that we know. ``spec`` None: it is to boot from its own disk."""

    node_id: int
    spec: BootSpec | None


class Lookup:
    """Answers from the store. Raises Unavailable when the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_mac(self, mac: str) -> Machine:
        """The machine with the port ``mac`` (aa:bb:cc:dd:ee:ff). Raises NotFound."""
        found = self._ask(lambda session: boots.by_mac(session, mac))
        if found is None:
            raise NotFound(
                f"No machine with the network card {mac} may boot here; add it as a port of its "
                "node, with pxe_enabled."
            )
        return Machine(*found)

    def by_key(self, key: str) -> BootSpec:
        """The boot spec that handed out ``key``. Raises NotFound when that boot is over."""
        found = self._ask(lambda session: boots.by_key(session, key))
        if found is None:
            raise NotFound("This boot is over; start the machine again to get its present one.")
        return found[1]

    def macs_of(self, node_id: int) -> Sequence[str]:
        """MAC addresses with which the node may boot from the network."""
        return self._ask(
            lambda session: session.scalars(
                select(Port.address).where(Port.node_id == node_id, Port.pxe_enabled.is_(True))
            ).all()
        )

    def hosts(self) -> Sequence[tuple[str, str | None]]:
        """(MAC, boot interface) of all machines that may boot from the network."""
        return self._ask(boots.hosts)

    def _ask(self, question: Callable[[Session], T]) -> T:
        try:
            with self._store.read() as session:
                return question(session)
        except SQLAlchemyError as error:
            # The driver's text can hold statements and parameters, hence only the kind.
            raise Unavailable(
                f"The database did not answer ({type(error).__name__}); see that it runs and that "
                "[database] is right."
            ) from error
