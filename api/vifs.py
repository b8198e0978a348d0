"""Which virtual network interfaces a node's ports carry: ``/v1/nodes/{ident}/vifs``.

What attaching means is the network interface's business, in the conductor.
"""

from __future__ import annotations

from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import OBJECT, TEXT, UUID
from api.names import check_ident
from api.schemas import gated
from api.versions import text as version_text
from drophammer.errors import Invalid, NotAcceptable

PLACE_SINCE = 67
_PLACES = ("port_uuid", "portgroup_uuid")
# Whatever else is said goes to the network interface.
_VIF: dict[str, Any] = {
    "type": "object",
    "properties": {"id": TEXT, "port_uuid": UUID, "portgroup_uuid": UUID},
    "required": ["id"],
}
_VIFS = {
    "type": "object",
    "properties": {"vifs": {"type": "array", "items": OBJECT}},
    "required": ["vifs"],
}


@takes(reply=_VIFS)
def index(call: Call, ident: str) -> Reply:
    """List the VIFs that are attached to a node."""
    row = nodes.find(call, ident, ())
    return Reply(body={"vifs": call.conductor("list_vifs", node_id=row["id"])})


@takes(body=gated(_VIF, dict.fromkeys(_PLACES, PLACE_SINCE)), status=204)
def attach(call: Call, ident: str) -> Reply:
    """Attach a VIF to one of a node's ports or port groups."""
    info = call.body()
    check_ident(info["id"], "VIF")
    places = [name for name in _PLACES if name in info]
    if places and call.version < PLACE_SINCE:
        raise NotAcceptable(f"{places[0]} needs API version {version_text(PLACE_SINCE)}.")
    if len(places) > 1:
        raise Invalid("Give either port_uuid or portgroup_uuid, not both.")
    row = nodes.find(call, ident, ())
    call.conductor_when_free("attach_vif", node_id=row["id"], info=info)
    return Reply(204)


@takes(status=204)
def detach(call: Call, ident: str, vif: str) -> Reply:
    """Detach a VIF from a node."""
    check_ident(vif, "VIF")
    row = nodes.find(call, ident, ())
    call.conductor_when_free("detach_vif", node_id=row["id"], vif=vif)
    return Reply(204)
