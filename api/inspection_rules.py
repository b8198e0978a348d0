"""The resource ``/v1/inspection_rules``: what to do with a node by what its inspection found.

What may be in a rule, and what it does, is in ``drophammer/rules.py``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.call import Call
from api.fields import BOOLEAN, LINKS, TEXT_OR_NULL, TIME, UUID, Field, Row, Table
from api.resource import Resource
from api.view import View
from drophammer import rules
from drophammer.errors import Invalid
from drophammer.inspection_rules import INSPECTION_RULES as ROWS
from drophammer.rows import Row as StoredRow

SINCE = 96
# Below and above are the rules that come with the service.
_PRIORITY: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 9999}
_ITEMS: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {
        "type": "object",
        "properties": {
            "op": {"type": "string"},
            "args": {"type": ["array", "object"]},
            "loop": {},
            "multiple": {"enum": [*rules.MULTIPLE, None]},
        },
        "required": ["op", "args"],
        "additionalProperties": False,
    },
}


def _links(row: Row, view: View) -> Any:
    return view.links("inspection_rules", row["uuid"])


def _conditions(row: Row, view: View) -> Any:
    return None if row["sensitive"] else row["conditions"]


def _actions(row: Row, view: View) -> Any:
    return None if row["sensitive"] else row["actions"]


# fmt: off
TABLE = Table(
    "inspection rule",
    "inspection_rules",
    [
        Field("uuid", SINCE, UUID, create=True, sort=True),
        Field("description", SINCE, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("priority", SINCE, _PRIORITY, create=True, patch=True, sort=True, default=0),
        Field("phase", SINCE, {"enum": list(rules.PHASES)},
              create=True, patch=True, sort=True, default="main"),
        Field("sensitive", SINCE, BOOLEAN, create=True, patch=True, sort=True, default=False),
        # Nobody is shown these two of a sensitive rule.
        Field("conditions", SINCE, _ITEMS, create=True, patch=True, masked=True, default=[],
              columns=("conditions", "sensitive"), show=_conditions),
        Field("actions", SINCE, _ITEMS, create=True, patch=True, masked=True,
              columns=("actions", "sensitive"), show=_actions),
        Field("created_at", SINCE, TIME, sort=True),
        Field("updated_at", SINCE, TIME, sort=True),
        Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
    ],
    brief=("uuid", "priority", "phase", "description", "links"),
)
# fmt: on


class InspectionRules(Resource):
    """Inspection rules. Once sensitive, always sensitive: what was hidden stays hidden."""

    filters = {"phase": 1}
    required = ("actions",)

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By phase."""
        phase = call.query.text("phase")
        return {} if phase is None else {"phase": phase}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """No conditions are an empty list of them."""
        values = super().normalised(values, version)
        if "conditions" in values:
            values["conditions"] = values["conditions"] or []
        return values

    def check_change(
        self, call: Call, session: Session, row: StoredRow, changed: dict[str, Any]
    ) -> None:
        """What comes out must be a rule, and as secret as before."""
        if row["sensitive"] and changed.get("sensitive") is False:
            raise Invalid(f"Inspection rule {row['uuid']} is sensitive, and stays so.")
        if changed.keys() & {"conditions", "actions"}:
            found = {**row, **changed}
            rules.check(found["conditions"], found["actions"])

    def _new(self, call: Call) -> dict[str, Any]:
        values = super()._new(call)
        rules.check(values.get("conditions") or [], values["actions"])
        return values


INSPECTION_RULES = InspectionRules(TABLE, ROWS)
