"""Lights on a node: ``/v1/nodes/{ident}/management/indicators/{name}@{component}``."""

from __future__ import annotations

from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.view import View

STATES = ("on", "off", "blinking", "unknown")
_STATE = closed({"state": {"enum": list(STATES)}}, required=("state",))
_INDICATORS = {
    "type": "object",
    "properties": {"indicators": {"type": "array", "items": {"type": "object"}}},
    "required": ["indicators"],
}


@takes(reply=_INDICATORS)
def index(call: Call, ident: str) -> Reply:
    """List the indicators of a node."""
    row = nodes.find(call, ident, ())
    view = call.view()
    found = call.conductor("get_indicators", node_id=row["id"])
    return Reply(body={"indicators": [_shown(one, row["uuid"], view) for one in found]})


@takes(reply=_STATE)
def show(call: Call, ident: str, name: str, component: str) -> Reply:
    """Show the state of an indicator."""
    row = nodes.find(call, ident, ())
    state = call.conductor("get_indicator", node_id=row["id"], component=component, name=name)
    return Reply(body={"state": state})


@takes(body=_STATE, status=204)
def update(call: Call, ident: str, name: str, component: str) -> Reply:
    """Set the state of an indicator."""
    state = call.body()["state"]
    row = nodes.find(call, ident, ())
    call.conductor_when_free(
        "set_indicator", node_id=row["id"], component=component, name=name, state=state
    )
    return Reply(204)


def _shown(found: dict[str, Any], node_uuid: str, view: View) -> dict[str, Any]:
    name = f"{found['name']}@{found['component']}"
    links = view.links("nodes", node_uuid, "management", "indicators", name)
    return {**found, "name": name, "links": links}
