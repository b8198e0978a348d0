"""What all nouns have in common: list, show, create, patch, delete.

A noun is a table of fields and its rows, in a file of its own; where it differs it
overrides a hook. What belongs to a node is in ``node_resource.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.orm import Session

from api import paging, patch
from api.announce import announced
from api.call import Call, Reply
from api.endpoint import Endpoint
from api.fields import Table
from api.names import check_ident, check_name
from drophammer import difference
from drophammer.errors import Invalid
from drophammer.identity import normal_uuid
from drophammer.model import new_uuid
from drophammer.rows import Row, Rows
from drophammer.store import Reader


class Resource:
    """One noun: its handlers as endpoints, its particulars as hooks.

    ``filters`` maps the query arguments of lists to their first minor versions.
    ``names_since`` is the first version in which a URL may have a name for a UUID,
    ``detail_since`` the first one in which ``detail=`` may be asked for.
    """

    filters: Mapping[str, int] = {}
    required: tuple[str, ...] = ()
    names_since = 1
    fields_since = 8
    detail_since = paging.DETAIL_SINCE

    def __init__(self, table: Table, rows: Rows, path: str = "") -> None:
        self.table = table
        self.rows = rows
        self.path = path or table.plural
        full = {**paging.ARGUMENTS, **self.filters}
        brief = {**full, "fields": self.fields_since, "detail": 1}
        noun, plural = table.noun, table.plural
        self.index = Endpoint(self._index, brief, lists=table, summary=f"List {plural}.")
        self.detail = Endpoint(
            self._detail, full, lists=table, summary=f"List {plural} with all fields."
        )
        self.show = Endpoint(
            self._show, {"fields": self.fields_since}, shows=table, summary=f"Show a {noun}."
        )
        self.create = Endpoint(
            self._create,
            creates=table,
            required=self.required,
            status=201,
            shows=table,
            summary=f"Create a {noun}.",
        )
        self.update = Endpoint(
            self._update, patches=table, shows=table, summary=f"Change a {noun}."
        )
        self.delete = Endpoint(self._delete, status=204, summary=f"Delete a {noun}.")

    # Hooks

    def narrowed(self, call: Call) -> dict[str, Any]:
        """The rows' filters that a list's query asks for. Raises Invalid."""
        return {}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Values checked beyond their schema, as they are stored. Raises Invalid."""
        if values.get("name") is not None and "name" in self.table.fields:
            check_name(values["name"], self.table.noun, version)
        if values.get("uuid") is not None:
            values["uuid"] = normal_uuid(values["uuid"])
        return values

    def prepare(self, call: Call, session: Session, values: dict[str, Any]) -> dict[str, Any]:
        """What a new row is made of, checked against others; returns its joined columns."""
        return {}

    def moves_to(self, steps: list[patch.Step]) -> str | None:
        """The UUID of the node that a patch gives the row to; None when it stays."""
        return None

    def check_change(self, call: Call, session: Session, row: Row, changed: dict[str, Any]) -> None:
        """Raise when the row cannot change so now. May add to ``changed``."""

    def check_remove(self, call: Call, session: Session, row: Row) -> None:
        """Raise when the row cannot be deleted now."""

    def changed(self, call: Call) -> None:
        """A row was created, changed or deleted, and that is committed."""

    # Handlers

    def listing(self, call: Call, filters: Mapping[str, Any], *, detail: bool = False) -> Reply:
        """A page of what passes ``filters`` and the query's own."""
        fields = (
            self.table.visible(call.version)
            if detail
            else paging.shown(call.query, self.table, call.version, self.detail_since)
        )
        page = paging.asked(call.query, self.table, call.version, call.settings.max_limit)
        narrowed = {**self.narrowed(call), **filters}
        with call.store.ask() as connection:
            rows = self.rows.page(connection, narrowed, page, fields.columns, fields.stored)
        view = call.view()
        items = [view.show(row, fields) for row in rows]
        last = rows[-1]["uuid"] if rows else None
        url = f"{call.base}{call.path}"
        return Reply(body=paging.document(self.table.plural, items, url, call.query, page, last))

    def find(
        self,
        call: Call,
        session: Reader,
        ident: str,
        wanted: Collection[str],
        stored: Collection[str] = (),
        *,
        lock: bool = False,
        moves_to: str | None = None,
    ) -> Row:
        """The row that a URL names. Raises Invalid or NotFound."""
        check_ident(ident, self.table.noun)
        if normal_uuid(ident) is None:
            if not self.rows.named:
                raise Invalid(f"Expected the UUID of a {self.table.noun} but received {ident!r}.")
            if call.version < self.names_since:
                raise self.rows.not_found(ident)
        return self.rows.find(session, ident, wanted, stored, lock=lock, moves_to=moves_to)

    def _index(self, call: Call) -> Reply:
        return self.listing(call, {})

    def _detail(self, call: Call) -> Reply:
        return self.listing(call, {}, detail=True)

    def _show(self, call: Call, ident: str) -> Reply:
        chosen = call.query.names("fields")
        fields = (
            self.table.chosen(chosen, call.version) if chosen else self.table.visible(call.version)
        )
        with call.store.ask() as connection:
            row = self.find(call, connection, ident, fields.columns, fields.stored)
        return Reply(body=call.view().show(row, fields))

    def _create(self, call: Call) -> Reply:
        values = self.normalised(self._new(call), call.version)
        values["uuid"] = values.get("uuid") or new_uuid()
        values["created_at"] = call.store.clock.now()
        row: dict[str, Any] = dict(values)
        with announced(self.table.noun, "create", lambda: row), call.store.write() as session:
            joined = self.prepare(call, session, values)
            row = {**self.rows.create(session, values), **joined}
        return self._created(call, row)

    def _update(self, call: Call, ident: str) -> Reply:
        steps = patch.parse(call.body(), self.table, call.version)
        self._check_steps(steps)

        def change(session: Session) -> Row:
            target = self.moves_to(steps)
            row = self.find(call, session, ident, self._for_change, lock=True, moves_to=target)
            touched = patch.apply(steps, {n: row.get(n) for n in self.table.fields}, self.table)
            self.table.check_values(touched)
            touched = self.normalised(touched, call.version)
            changed = difference.changed(row, touched)
            self.check_change(call, session, row, changed)
            if changed:
                changed["updated_at"] = call.store.clock.now()
                self.rows.change(session, row, changed)
            return {**row, **changed}

        with self._announced(call, "update", ident):
            row = call.write_when_free(change)
        self.changed(call)
        return Reply(body=self._shown(call, row))

    def _delete(self, call: Call, ident: str) -> Reply:
        def remove(session: Session) -> None:
            row = self.find(call, session, ident, self._for_change, lock=True)
            self.check_remove(call, session, row)
            self.rows.remove(session, row["id"])

        with self._announced(call, "delete", ident):
            call.write_when_free(remove)
        self.changed(call)
        return Reply(204)

    # Details

    def _announced(self, call: Call, action: str, ident: str) -> AbstractContextManager[None]:
        def read() -> Row:
            with call.store.ask() as connection:
                return self.find(call, connection, ident, self._for_change)

        return announced(self.table.noun, action, read)

    @property
    def _for_change(self) -> frozenset[str]:
        return self.rows.columns | set(self.rows.joined)

    def _new(self, call: Call) -> dict[str, Any]:
        return self.table.check_new(self._meant(call.body()), call.version, self.required)

    def _meant(self, body: Any) -> Any:
        """A body without the nulls that stand for defaults; command lines send such."""
        if not isinstance(body, dict):
            return body
        fields = self.table.fields
        return {
            name: fields[name].meant(value) if name in fields else value
            for name, value in body.items()
            if value is not None or name not in fields or fields[name].default is None
        }

    def _created(self, call: Call, row: Row) -> Reply:
        self.changed(call)
        location = f"{call.base}/v1/{self.path}/{row['uuid']}"
        return Reply(201, self._shown(call, row), {"Location": location})

    def _check_steps(self, steps: list[patch.Step]) -> None:
        for step in steps:
            if step.op == "remove" and not step.path and step.root in self.required:
                raise Invalid(
                    f"A {self.table.noun} cannot be without {step.root}; replace it instead."
                )

    def _shown(self, call: Call, row: Row) -> dict[str, Any]:
        return call.view().show(row, self.table.visible(call.version))
