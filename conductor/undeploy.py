"""Everything that belongs to a deployed system and goes with it, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, select, union_all, update
from sqlalchemy.orm import Session

from drophammer import allocations, vifs
from drophammer.model import Port, Portgroup, Step

if TYPE_CHECKING:
    from conductor.task import Task

_GONE: dict[str, Any] = {
    "instance_info": {},
    "instance_uuid": None,
    "instance_name": None,
    "allocation_uuid": None,
}


def forget_instance(task: Task, step: Step | None = None) -> None:
    """Clear what the instance left on the node; its networks and its allocation are free again.

    ``step`` finds ``cleared`` in its cursor then. Doing it again does nothing.
    """
    allocation = task.node.allocation_uuid
    with task.box.store.write() as session:
        task.write(session, _GONE)
        if allocation is not None:
            allocations.destroy(session, allocation)
        _detach_vifs(session, task.node.id)
        if step is not None:
            task.journal_note(session, step, cleared=True)
    task.know(_GONE)


def _detach_vifs(session: Session, node_id: int) -> None:
    tables: dict[str, type[Port] | type[Portgroup]] = {"port": Port, "portgroup": Portgroup}
    query = union_all(
        *(
            select(literal(kind).label("kind"), table.id, table.internal_info).where(
                table.node_id == node_id
            )
            for kind, table in tables.items()
        )
    )
    for kind, row_id, info in session.execute(query).all():
        if vifs.TENANT in info:
            table = tables[kind]
            left = {key: value for key, value in info.items() if key != vifs.TENANT}
            session.execute(update(table).where(table.id == row_id).values(internal_info=left))
