"""The resource ``/v1/runbooks``: steps for cleaning and servicing, kept under a name."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import step_lists
from api.call import Call
from api.fields import (
    BOOLEAN,
    LINKS,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TIME,
    UUID,
    Field,
    Row,
    Table,
)
from api.resource import Resource
from api.view import View
from drophammer import traits
from drophammer.errors import Invalid
from drophammer.rows import Row as StoredRow
from drophammer.runbooks import RUNBOOKS as ROWS

SINCE = 92
TRAITS_SINCE = 112
_STEPS = step_lists.schema("order", required=("interface", "step", "order"))


def _links(row: Row, view: View) -> Any:
    return view.links("runbooks", row["uuid"])


# fmt: off
TABLE = Table(
    "runbook",
    "runbooks",
    [
        Field("uuid", SINCE, UUID, create=True, sort=True),
        Field("name", SINCE, TEXT, create=True, patch=True, sort=True),
        Field("steps", SINCE, _STEPS, create=True, patch=True, masked=True),
        Field("disable_ramdisk", SINCE, BOOLEAN, create=True, patch=True, sort=True, default=False),
        Field("extra", SINCE, OBJECT, create=True, patch=True, default={}),
        Field("public", SINCE, BOOLEAN, create=True, patch=True, sort=True, default=False),
        Field("owner", SINCE, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("created_at", SINCE, TIME, sort=True),
        Field("updated_at", SINCE, TIME, sort=True),
        Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
        Field("description", TRAITS_SINCE, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("traits", TRAITS_SINCE, TEXTS),
    ],
    brief=("uuid", "name", "links"),
)
# fmt: on


class Runbooks(Resource):
    """Runbooks. Until they had traits of their own, the name of one was its trait."""

    filters = {"project": 1}
    required = ("name", "steps")

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By project."""
        project = call.query.text("project")
        return {} if project is None else {"project": project}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """A name that the version knows, each step once, and arguments for each."""
        values = super().normalised(values, version)
        if "name" in values and version < TRAITS_SINCE:
            traits.check(values["name"])
        if "steps" in values:
            step_lists.check_unique(values["steps"])
            values["steps"] = [{"args": {}, **step} for step in values["steps"]]
        return values

    def check_change(
        self, call: Call, session: Session, row: StoredRow, changed: dict[str, Any]
    ) -> None:
        """A runbook that is everyone's is nobody's own."""
        public = changed.get("public", row["public"])
        if public and changed.get("owner") is not None:
            raise Invalid(f"Runbook {row['uuid']} is public; a public runbook has no owner.")
        if public and row["owner"] is not None:
            changed["owner"] = None


RUNBOOKS = Runbooks(TABLE, ROWS)
