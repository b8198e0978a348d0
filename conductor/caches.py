"""Copies of what only the hardware knows (BIOS settings, firmware versions), for the API to read.

Bringing them up to date never fails the work during which it happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError
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
_NOT_KEPT = "What was read of the hardware could not be kept; the log has the details."


Rows = dict[str, dict[str, Any]]
"""By name: what is known of a setting or a component."""


def refresh(task: Task, kinds: Iterable[str] = KINDS) -> None:
    """Read again what of ``kinds`` the node's interfaces can tell, and write what is different."""
    try:
        write = news(task, kinds)
        if write is not None:
            with task.box.store.write() as session:
                task.write(session, {})
                write(session)
    except SQLAlchemyError:
        # The step that this comes after is done and not journalled yet.
        LOG.exception("node %s: its caches could not be written", task.node.uuid)
        _tell(task, _NOT_KEPT)


def news(task: Task, kinds: Iterable[str] = KINDS) -> Callable[[Session], None] | None:
    """Read it, and what is to be written in a transaction that has the lease; None: nothing."""
    found = [(table, key, rows) for kind in kinds for table, key, rows in _read(task, kind)]
    if not found:
        return None
    with task.box.store.read() as session:
        old = [_stored(task, session, table, key) for table, key, _ in found]
    changed = [
        (table, key, before, after)
        for (table, key, rows), before in zip(found, old, strict=True)
        if (after := _kept(table, rows, before)) != before
    ]
    if not changed:
        return None

    def write(session: Session) -> None:
        try:
            # The transaction is about more than this, and goes on without it.
            with session.connection().begin_nested():
                for change in changed:
                    _write(task, session, *change)
        except OperationalError:
            raise  # The database is away: for all of the transaction.
        except Exception:
            LOG.exception("node %s: its caches could not be written", task.node.uuid)
            task.tell(session, "error", _NOT_KEPT)

    return write


def _read(task: Task, kind: str) -> Iterator[tuple[_Table, str, Rows]]:
    """What the interface tells, if it can be asked; that it cannot is told, and no more."""
    try:
        interface = task.driver.interface(kind)
        if isinstance(interface, Bios):
            yield BiosSetting, "name", _rows(BiosSetting, "name", interface.settings(task.node))
        elif isinstance(interface, Firmware):
            found = interface.components(task.node)
            yield FirmwareComponent, "component", _rows(FirmwareComponent, "component", found)
    except Unsupported:
        return
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


def _columns(table: _Table) -> list[str]:
    return [column.name for column in table.__table__.columns if column.name not in _OURS]


def _rows(table: _Table, key: str, found: Iterable[dict[str, Any]]) -> Rows:
    return {str(item[key]): {name: item.get(name) for name in _columns(table)} for item in found}


def _stored(task: Task, session: Session, table: _Table, key: str) -> Rows:
    columns = [table.__table__.columns[name] for name in _columns(table)]
    found = session.execute(select(*columns).where(table.node_id == task.node.id)).mappings()
    return {str(row[key]): dict(row) for row in found}


def _kept(table: _Table, new: Rows, old: Rows) -> Rows:
    """What was found, with the version that a component had first of all."""
    if table is not FirmwareComponent:
        return new
    return {
        name: {
            **values,
            "initial_version": old.get(name, {}).get("initial_version")
            or values["initial_version"]
            or values["current_version"]
            or "",
        }
        for name, values in new.items()
    }


def _write(
    task: Task,
    session: Session,
    table: _Table,
    key: str,
    old: Rows,
    new: Rows,
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
        session.execute(insert(cast(Table, table.__table__)), added)
    changed = [
        {"node_id": node_id, "updated_at": now, **values}
        for name, values in new.items()
        if name in old and old[name] != values
    ]
    if changed:
        session.execute(update(table), changed)
