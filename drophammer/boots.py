"""Queries on boot specs: what the conductor sets and netboot asks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from drophammer.bootspec import INSTANCE, BootSpec
from drophammer.model import BootSpecRow, Node, Port


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


def by_mac(session: Session, mac: str) -> tuple[int, BootSpec | None] | None:
    """(node id, its boot spec or None) of the node that has an enabled port ``mac``.

    None when no such port exists, or its owner switched network boot off for it.
    """
    row = session.execute(
        _QUERY.join(Port, Port.node_id == Node.id).where(
            Port.address == mac, Port.pxe_enabled.is_(True)
        )
    ).one_or_none()
    return None if row is None else (row.id, _spec(row))


def by_key(session: Session, key: str) -> tuple[int, BootSpec] | None:
    """(node id, boot spec) of the boot that handed out ``key``; None when it is over."""
    row = session.execute(_QUERY.where(BootSpecRow.key == key)).one_or_none()
    spec = _spec(row) if row is not None else None
    return None if row is None or spec is None else (row.id, spec)


def hosts(session: Session) -> Sequence[tuple[str, str | None]]:
    """(MAC, boot interface) of every port that may boot from the network, by MAC."""
    rows = session.execute(
        select(Port.address, Node.boot_interface)
        .join(Node, Node.id == Port.node_id)
        .where(Port.pxe_enabled.is_(True))
        .order_by(Port.address)
    )
    return [(row.address, row.boot_interface) for row in rows]


_QUERY = select(
    Node.id,
    Node.uuid,
    BootSpecRow.purpose,
    BootSpecRow.loader,
    BootSpecRow.kernel,
    BootSpecRow.ramdisk,
    BootSpecRow.root,
    BootSpecRow.parameters,
    BootSpecRow.key,
).outerjoin(BootSpecRow, BootSpecRow.node_id == Node.id)


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
