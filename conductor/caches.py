"""Copies of what only the hardware knows (BIOS settings, firmware versions), for the API to read.

Bringing them up to date never fails the work during which it happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Table, bindparam, delete, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from conductor.drivers.base import Bios, Firmware
from drophammer import direct, prepared
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


class _Cache:
    """What one table holds of the task's node. It is read once, when somebody wants it."""

    def __init__(self, task: Task, table: _Table, key: str) -> None:
        self.table: Any = table.__table__
        self.key = self.table.columns[key]
        self.columns = _columns(self.table)
        self._task = task

    @cached_property
    def rows(self) -> Rows:
        with self._task.box.store.ask() as connection:
            found = direct.rows(connection, _of_node(self.table), {"of": self._task.node.id})
        return {row[self.key.name]: row for row in found}


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
    changed = [
        (cache, after)
        for kind in kinds
        for cache, rows in _read(task, kind)
        if (after := _kept(cache, rows)) != cache.rows
    ]
    if not changed:
        return None

    def write(session: Session) -> None:
        try:
            # The transaction is about more than this, and goes on without it.
            with session.connection().begin_nested():
                for cache, after in changed:
                    _write(task, session, cache, after)
        except OperationalError:
            raise  # The database is away: for all of the transaction.
        except Exception:
            LOG.exception("node %s: its caches could not be written", task.node.uuid)
            task.tell(session, "error", _NOT_KEPT)

    return write


def _read(task: Task, kind: str) -> Iterator[tuple[_Cache, Rows]]:
    """What the interface tells, if it can be asked; that it cannot is told, and no more."""
    try:
        interface = task.driver.interface(kind)
        if isinstance(interface, Bios):
            cache = _Cache(task, BiosSetting, "name")
            yield cache, _rows(cache, interface.settings(task.node, lambda: cache.rows))
        elif isinstance(interface, Firmware):
            cache = _Cache(task, FirmwareComponent, "component")
            yield cache, _rows(cache, interface.components(task.node, lambda: cache.rows))
    except Unsupported:
        return
    except (LeaseLost, SQLAlchemyError):
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


@lru_cache
def _columns(table: Table) -> tuple[Any, ...]:
    return tuple(column for column in table.columns if column.name not in _OURS)


def _rows(cache: _Cache, found: Iterable[dict[str, Any]]) -> Rows:
    names = [column.name for column in cache.columns]
    key = cache.key.name
    return {str(item[key]): {name: item.get(name) for name in names} for item in found}


def _kept(cache: _Cache, new: Rows) -> Rows:
    """What was found, with the version that a component had first of all."""
    if cache.table is not FirmwareComponent.__table__:
        return new
    return {
        name: {
            **values,
            "initial_version": cache.rows.get(name, {}).get("initial_version")
            or values["initial_version"]
            or values["current_version"]
            or "",
        }
        for name, values in new.items()
    }


def _write(task: Task, session: Session, cache: _Cache, new: Rows) -> None:
    old, node_id, now = cache.rows, task.node.id, task.now()
    gone = [name for name in old if name not in new]
    if gone:
        which = cache.table.c.node_id == node_id
        session.execute(delete(cache.table).where(which, cache.key.in_(gone)))
    added = [
        {"node_id": node_id, "created_at": now, **values}
        for name, values in new.items()
        if name not in old
    ]
    direct.insert_all(session, cache.table, added)
    for name, values in new.items():
        if name in old and old[name] != values:
            which = {"node_id": node_id, cache.key.name: name}
            prepared.write(session, cache.table, which, {**values, "updated_at": now})


@lru_cache
def _of_node(table: Table) -> Select[Any]:
    return select(*_columns(table)).where(table.c.node_id == bindparam("of"))
