"""The queries that every noun needs, on one table: find, page, create, change, remove.

Rows are plain mappings with just the columns asked for. ``joined`` gives columns of
the node a row belongs to. What is special about a noun is in the noun's own file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Result,
    Select,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from drophammer import pages, unique
from drophammer.errors import Conflict, Invalid, NotFound
from drophammer.identity import normal_uuid
from drophammer.model import Base, Node
from drophammer.pages import Page
from drophammer.store import Reader
from drophammer.stored import as_stored

Row = dict[str, Any]
ALWAYS = frozenset({"id", "uuid"})
# Statements kept ready: to build one costs several times what it costs to run it.
SELECTS = 256
# Not the class: statements on it go through the ORM, which is twice as slow.
NODES = Node.metadata.tables["nodes"]

# What a change of something that belongs to a node must know of the node.
NODE_COLUMNS: dict[str, Any] = {
    "node_uuid": NODES.c.uuid,
    "node_provision_state": NODES.c.provision_state,
    "node_power_state": NODES.c.power_state,
    "node_maintenance": NODES.c.maintenance,
    "node_instance_uuid": NODES.c.instance_uuid,
    "lease_owner": NODES.c.lease_owner,
    "lease_host": NODES.c.lease_host,
    "lease_purpose": NODES.c.lease_purpose,
    "lease_since": NODES.c.lease_since,
    "lease_expires": NODES.c.lease_expires,
}


class Rows:
    """One table.

    ``noun`` is its name in messages; ``of_node`` says that its rows belong to nodes;
    ``filters`` are the ways to narrow a list. ``taken`` maps a unique column, the first
    one where several are unique together, to how a message names what is in use, with
    the columns' values in braces. ``derived`` are further columns, as scalar expressions.
    """

    def __init__(
        self,
        model: type[Base],
        noun: str,
        *,
        of_node: bool = False,
        filters: Mapping[str, Callable[[Any], ColumnElement[bool]]] | None = None,
        taken: Mapping[str, str] | None = None,
        derived: Mapping[str, Any] | None = None,
    ) -> None:
        table = model.__table__
        assert isinstance(table, Table)
        self.table = table
        self.noun = noun
        self.of_node = of_node
        self.filters = dict(filters or {})
        self.columns = frozenset(column.name for column in table.columns)
        self.joined = {**(NODE_COLUMNS if of_node else {}), **(derived or {})}
        self.named = "name" in table.columns
        self._taken = {"uuid": "uuid {uuid}", **(taken or {})}
        self._select = functools.lru_cache(SELECTS)(self._build)

    def find(
        self,
        session: Reader,
        ident: str,
        columns: Collection[str],
        stored: Collection[str] = (),
        *,
        lock: bool = False,
        moves_to: str | None = None,
    ) -> Row:
        """One row by UUID (any spelling) or name. Raises NotFound.

        JSON columns in ``stored`` come as they are stored. ``lock`` keeps others from
        changing the row, and its node, until the transaction ends; so does it for the
        node with the UUID ``moves_to``, if it is there.
        """
        wanted = normal_uuid(ident)
        if wanted is None and not self.named:
            raise self.not_found(ident)
        name = self.table.columns["uuid" if wanted is not None else "name"]
        this = name == (wanted or ident)
        query = self._select(frozenset(columns), frozenset(stored)).where(this)
        if lock:
            if self.of_node:
                # The node first, in the order that everybody takes them.
                session.execute(self._nodes_to_lock(this, moves_to))
            query = query.with_for_update(of=self.table)
        found = mapped(session.execute(query))
        if not found:
            raise self.not_found(ident)
        return found[0]

    def referred(self, session: Session, ident: str, columns: Collection[str]) -> Row:
        """One row that a body refers to. Raises Invalid: what is wrong is the body then."""
        try:
            return self.find(session, ident, columns)
        except NotFound as error:
            raise Invalid(error.message) from error

    def page(
        self,
        session: Reader,
        filters: Mapping[str, Any],
        page: Page,
        columns: Collection[str],
        stored: Collection[str] = (),
    ) -> Sequence[Row]:
        """Some rows, in order. Raises NotFound when the marker names none."""
        key, row_id, uuid = (self.table.columns[name] for name in (page.sort_key, "id", "uuid"))
        after = None
        if page.marker is not None:
            place = session.execute(select(key, row_id).where(uuid == page.marker)).one_or_none()
            if place is None:
                raise self.not_found(page.marker)
            after = (place[0], place[1])
        query = self._select(frozenset(columns), frozenset(stored))
        query = query.where(*self._conditions(filters))
        return pages.read(
            lambda part: mapped(session.execute(part)), query, page, key, row_id, after
        )

    def count(self, session: Reader, filters: Mapping[str, Any]) -> int:
        """How many rows there are."""
        query = select(func.count()).select_from(self.table).where(*self._conditions(filters))
        return session.execute(query).scalar_one()

    def create(self, session: Session, values: Mapping[str, Any]) -> Row:
        """Add a row and return its own columns. Raises Conflict for what is in use already."""
        query = insert(self.table).values(**values).returning(*self.table.columns)
        try:
            return dict(session.execute(query).mappings().one())
        except IntegrityError as error:
            self._explain(error, values)
            raise

    def change(self, session: Session, row: Row, values: Mapping[str, Any]) -> None:
        """Write columns of a row that was found. Raises Conflict for what is in use already."""
        query = update(self.table).where(self.table.columns["id"] == row["id"]).values(**values)
        try:
            session.execute(query)
        except IntegrityError as error:
            self._explain(error, {**row, **values})
            raise

    def remove(self, session: Session, row_id: int) -> None:
        """Delete a row."""
        session.execute(delete(self.table).where(self.table.columns["id"] == row_id))

    def not_found(self, ident: str) -> NotFound:
        """The error for a row that is not there. Clients match on this text."""
        return NotFound(f"{self.noun} {ident} could not be found.")

    def _conditions(self, filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
        return [self.filters[name](value) for name, value in filters.items()]

    def _build(self, columns: frozenset[str], stored: frozenset[str]) -> Select[Any]:
        query = select(*(self._column(name, stored) for name in sorted(ALWAYS | columns)))
        query = query.select_from(self.table)
        if self.of_node:
            query = query.join(NODES, NODES.c.id == self.table.columns["node_id"])
        return query

    def _column(self, name: str, stored: frozenset[str]) -> Any:
        if name in self.joined:
            return self.joined[name].label(name)
        column = self.table.columns[name]
        return as_stored(column) if name in stored else column

    def _nodes_to_lock(self, this: ColumnElement[bool], moves_to: str | None) -> Select[Any]:
        """By their ids: rows that cross each other's way must not wait for each other."""
        wanted = NODES.c.id == select(self.table.columns["node_id"]).where(this).scalar_subquery()
        if moves_to is not None:
            wanted = or_(wanted, NODES.c.uuid == moves_to)
        return select(NODES.c.id).where(wanted).order_by(NODES.c.id).with_for_update()

    def _explain(self, error: IntegrityError, values: Mapping[str, Any]) -> None:
        """Raise Conflict when ``error`` says that something is in use."""
        column = unique.collided(error, self.table.name, self._taken)
        if column is None:
            return
        what = self._taken[column].format_map(
            {name: values.get(name, "it") for name in self.columns}
        )
        raise Conflict(f"{self.noun} with {what} already exists.") from error


def mapped(found: Result[Any]) -> list[Row]:
    """All rows of a result as plain dicts."""
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=False)) for row in found.all()]
