"""The one question that every boot protocol asks: what does this machine boot?

Each method is one or two short reads of the database and blocks for as long;
callers on an event loop go through a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from drophammer import boots, volumes
from drophammer.boots import Booting
from drophammer.bootspec import BootSpec
from drophammer.errors import NotFound, Unavailable
from drophammer.model import Port
from drophammer.store import Reader, Store
from drophammer.volumes import Volumes

T = TypeVar("T")


class Lookup:
    """Answers from the store. Raises Unavailable when the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_mac(self, mac: str) -> Booting:
        """The machine with the port ``mac`` (aa:bb:cc:dd:ee:ff). Raises NotFound."""
        found = self._ask(lambda reader: boots.by_mac(reader, mac))
        if found is None:
            raise NotFound(
                f"No machine with the network card {mac} may boot here; add it as a port of its "
                "node, with pxe_enabled."
            )
        return found

    def is_port(self, mac: str | None) -> bool:
        """Whether ``mac`` is any node's. With None it only sees that the database answers."""
        return self._ask(lambda reader: boots.has_port(reader, mac or ""))

    def by_key(self, key: str) -> BootSpec:
        """The boot spec that handed out ``key``. Raises NotFound when that boot is over."""
        found = self._ask(lambda reader: boots.by_key(reader, key))
        if found is None:
            raise NotFound("This boot is over; start the machine again to get its present one.")
        return found[1]

    def macs_of(self, node_id: int) -> Sequence[str]:
        """MAC addresses with which the node may boot from the network."""
        return self._ask(
            lambda reader: (
                reader.execute(
                    select(Port.address).where(Port.node_id == node_id, Port.pxe_enabled.is_(True))
                )
                .scalars()
                .all()
            )
        )

    def volumes_of(self, node_id: int, node_uuid: str) -> Volumes:
        """What the node boots from. Raises NotFound without one, Invalid for one that is wrong."""
        with _answered(), self._store.read() as session:
            found = volumes.of_node(session, node_id, node_uuid)
        if found is None:
            raise NotFound(
                f"Node {node_uuid} is to boot from a volume and has no volume target with "
                "boot_index 0 any more."
            )
        return found

    def hosts(self) -> Sequence[tuple[str, str | None, Any]]:
        """(MAC, boot interface, wished address) of all machines that may boot from the network."""
        return self._ask(boots.hosts)

    def _ask(self, question: Callable[[Reader], T]) -> T:
        with _answered(), self._store.ask() as reader:
            return question(reader)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # The driver's text can hold statements and parameters, hence only the kind.
        raise Unavailable(
            f"The database did not answer ({type(error).__name__}); see that it runs and that "
            "[database] is right."
        ) from error
