"""Everything that belongs to a deployed system and goes with it, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CompoundSelect, bindparam, literal_column, select, union_all, update
from sqlalchemy.orm import Session

from drophammer import allocations, vifs
from drophammer.model import Port, Portgroup

if TYPE_CHECKING:
    from conductor.task import Task

GONE: dict[str, Any] = {
    "instance_info": {},
    "instance_uuid": None,
    "instance_name": None,
    "allocation_uuid": None,
}


_TABLES: dict[str, type[Port] | type[Portgroup]] = {"port": Port, "portgroup": Portgroup}
_PORTS: CompoundSelect[Any] = union_all(
    *(
        select(literal_column(f"'{kind}'"), table.id, table.internal_info).where(
            table.node_id == bindparam("its_node")
        )
        for kind, table in _TABLES.items()
    )
)


def forget_instance(task: Task) -> None:
    """Clear what the instance left on the node; its networks and its allocation are free again.

    Doing it again does nothing.
    """
    with task.box.store.write() as session:
        task.write(session, GONE)
        free(task, session)
    task.know(GONE)


def free(task: Task, session: Session) -> None:
    """Free networks and allocation, in the caller's transaction; it writes ``GONE`` as well."""
    if task.node.allocation_uuid is not None:
        allocations.destroy(session, task.node.allocation_uuid)
    _detach_vifs(session, task.node.id)


def _detach_vifs(session: Session, node_id: int) -> None:
    for kind, row_id, info in session.execute(_PORTS, {"its_node": node_id}).all():
        if vifs.TENANT in info:
            table = _TABLES[kind]
            left = {key: value for key, value in info.items() if key != vifs.TENANT}
            session.execute(update(table).where(table.id == row_id).values(internal_info=left))
