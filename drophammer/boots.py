"""Queries on boot specs: what the conductor sets and netboot asks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from drophammer.bootspec import INSTANCE, BootSpec
from drophammer.model import BootSpecRow, Node, Port
from drophammer.store import Reader


class Booting(NamedTuple):
    """A node that may boot from the network; ``spec`` None: it is to boot from its disk.

    ``name`` and ``arch`` are what the operator called it and its architecture, "" for none.
    """

    node_id: int
    spec: BootSpec | None
    uuid: str
    name: str
    arch: str


def put(session: Session, node_id: int, spec: BootSpec, now: datetime.datetime) -> None:
    """Make ``spec`` what the node boots from now on."""
    session.merge(
        BootSpecRow(
            node_id=node_id,
            purpose=spec.purpose,
            loader=spec.loader,
            kernel=spec.kernel,
            ramdisk=spec.ramdisk,
            root=spec.root,
            parameters=list(spec.parameters),
            key=spec.key,
            created_at=now,
        )
    )


def clear(session: Session, node_id: int) -> None:
    """The node boots nothing from the network any more."""
    session.execute(delete(BootSpecRow).where(BootSpecRow.node_id == node_id))


def is_set(session: Session, node_id: int) -> bool:
    """Whether the node has a ramdisk of ours to boot."""
    row = session.get(BootSpecRow, node_id)
    return row is not None and row.purpose != INSTANCE


def by_mac(reader: Reader, mac: str) -> Booting | None:
    """The node that has an enabled port ``mac``.

    None when no such port exists, or its owner switched network boot off for it.
    """
    row = reader.execute(
        _QUERY.join(Port, Port.node_id == Node.id).where(
            Port.address == mac, Port.pxe_enabled.is_(True)
        )
    ).one_or_none()
    return None if row is None else _booting(row)


def by_key(reader: Reader, key: str) -> tuple[int, BootSpec] | None:
    """(node id, boot spec) of the boot that handed out ``key``; None when it is over."""
    row = reader.execute(_QUERY.where(BootSpecRow.key == key)).one_or_none()
    spec = _spec(row) if row is not None else None
    return None if row is None or spec is None else (row.id, spec)


def has_port(reader: Reader, mac: str) -> bool:
    """Whether ``mac`` is any node's, though it may not boot from the network."""
    return reader.execute(select(Port.id).where(Port.address == mac)).first() is not None


def hosts(reader: Reader) -> Sequence[tuple[str, str | None, Any]]:
    """(MAC, boot interface, extra.ip_address) of every port that may boot from the network.

    By MAC. The last is what an operator wrote there, whatever that is.
    """
    rows = reader.execute(
        select(Port.address, Node.boot_interface, Port.extra)
        .join(Node, Node.id == Port.node_id)
        .where(Port.pxe_enabled.is_(True))
        .order_by(Port.address)
    )
    return [(row.address, row.boot_interface, row.extra.get("ip_address")) for row in rows]


_QUERY = select(
    Node.id,
    Node.uuid,
    Node.name,
    Node.properties,
    BootSpecRow.purpose,
    BootSpecRow.loader,
    BootSpecRow.kernel,
    BootSpecRow.ramdisk,
    BootSpecRow.root,
    BootSpecRow.parameters,
    BootSpecRow.key,
).outerjoin(BootSpecRow, BootSpecRow.node_id == Node.id)


def _booting(row: Any) -> Booting:
    arch = row.properties.get("cpu_arch")
    known = arch if isinstance(arch, str) else ""
    return Booting(row.id, _spec(row), row.uuid, row.name or "", known)


def _spec(row: Any) -> BootSpec | None:
    if row.key is None:
        return None
    return BootSpec(
        node_uuid=row.uuid,
        purpose=row.purpose,
        loader=row.loader,
        kernel=row.kernel,
        ramdisk=row.ramdisk,
        parameters=tuple(row.parameters),
        key=row.key,
        root=row.root,
    )
