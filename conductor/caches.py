"""Copies of what only the hardware knows (BIOS settings, firmware versions), for the API to read.

Bringing them up to date never fails the work during which it happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from conductor.drivers.base import Bios, Firmware
from drophammer.errors import DrophammerError, LeaseLost, Unsupported
from drophammer.model import BiosSetting, FirmwareComponent
from drophammer.text import readable

if TYPE_CHECKING:
    from conductor.task import Task

LOG = logging.getLogger(__name__)
KINDS = ("bios", "firmware")
_OURS = frozenset({"node_id", "created_at", "updated_at"})
_Table = type[BiosSetting] | type[FirmwareComponent]


def refresh(task: Task, kinds: Iterable[str] = KINDS) -> None:
    """Read again what of ``kinds`` the node's interfaces can tell, and write what is different."""
    for kind in kinds:
        try:
            interface = task.driver.interface(kind)
            if isinstance(interface, Bios):
                _store(task, BiosSetting, "name", interface.settings(task.node))
            elif isinstance(interface, Firmware):
                found = interface.components(task.node)
                _store(task, FirmwareComponent, "component", found)
        except Unsupported:
            continue
        except LeaseLost:
            raise
        except DrophammerError as error:
            _tell(task, f"The {kind} interface could not be read: {error.message}")
        except Exception:
            LOG.exception("node %s: reading its %s interface failed", task.node.uuid, kind)
            _tell(task, f"The {kind} interface could not be read; the log has the details.")


def _tell(task: Task, text: str) -> None:
    try:
        with task.box.store.write() as session:
            task.write(session, {})
            task.tell(session, "error", readable(text))
    except SQLAlchemyError:
        # A step may be done and not journalled yet: raised, this would have it done again.
        LOG.exception("node %s: could not be told: %s", task.node.uuid, text)


def _store(task: Task, table: _Table, key: str, found: Sequence[dict[str, Any]]) -> None:
    """Make the node's rows of ``table`` what was found; nothing is written when they are that."""
    columns = [column.name for column in table.__table__.columns if column.name not in _OURS]
    new = {str(item[key]): {name: item.get(name) for name in columns} for item in found}
    with task.box.store.read() as session:
        rows = session.scalars(select(table).where(table.node_id == task.node.id)).all()
    old = {str(getattr(row, key)): {name: getattr(row, name) for name in columns} for row in rows}
    if table is FirmwareComponent:
        for name, values in new.items():
            first = old.get(name, {}).get("initial_version")
            values["initial_version"] = (
                first or values["initial_version"] or values["current_version"] or ""
            )
    if new != old:
        with task.box.store.write() as session:
            task.write(session, {})
            _write(task, session, table, key, old, new)


def _write(
    task: Task,
    session: Session,
    table: _Table,
    key: str,
    old: dict[str, dict[str, Any]],
    new: dict[str, dict[str, Any]],
) -> None:
    node_id, now, column = task.node.id, task.now(), table.__table__.columns[key]
    gone = [name for name in old if name not in new]
    if gone:
        session.execute(delete(table).where(table.node_id == node_id, column.in_(gone)))
    added = [
        {"node_id": node_id, "created_at": now, **values}
        for name, values in new.items()
        if name not in old
    ]
    if added:
        session.execute(insert(table).execution_options(render_nulls=True), added)
    changed = [
        {"node_id": node_id, "updated_at": now, **values}
        for name, values in new.items()
        if name in old and old[name] != values
    ]
    if changed:
        session.execute(update(table), changed)
