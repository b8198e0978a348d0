"""The resource ``/v1/deploy_templates``: deploy steps that an instance gets by a trait."""

from __future__ import annotations

from typing import Any

from api import step_lists
from api.fields import LINKS, OBJECT, TEXT, TEXT_OR_NULL, TIME, UUID, Field, Row, Table
from api.resource import Resource
from api.view import View
from drophammer import traits
from drophammer.deploy_templates import DEPLOY_TEMPLATES as ROWS

SINCE = 55
_STEPS = step_lists.schema("priority", required=("interface", "step", "args", "priority"))


def _links(row: Row, view: View) -> Any:
    return view.links("deploy_templates", row["uuid"])


# fmt: off
TABLE = Table(
    "deploy template",
    "deploy_templates",
    [
        Field("uuid", SINCE, UUID, create=True, sort=True),
        Field("name", SINCE, TEXT, create=True, patch=True, sort=True),
        Field("description", SINCE, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("steps", SINCE, _STEPS, create=True, patch=True, masked=True),
        Field("extra", SINCE, OBJECT, create=True, patch=True, default={}),
        Field("created_at", SINCE, TIME, sort=True),
        Field("updated_at", SINCE, TIME, sort=True),
        Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
    ],
    brief=("uuid", "name", "links"),
)
# fmt: on


class DeployTemplates(Resource):
    """Deploy templates. The name of one is the trait that asks for it."""

    required = ("name", "steps")

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """A name that is a trait, and each step once."""
        values = super().normalised(values, version)
        if "name" in values:
            traits.check(values["name"])
        if "steps" in values:
            step_lists.check_unique(values["steps"])
        return values


DEPLOY_TEMPLATES = DeployTemplates(TABLE, ROWS)
