"""A node's console: where it is, and switching it on and off."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.flags import YES_OR_NO, flag
from api.states import accepted
from drophammer.masking import mask

_CONSOLE = closed(
    {"console_enabled": {"type": "boolean"}, "console_info": {"type": ["object", "null"]}},
    required=("console_enabled", "console_info"),
)


@takes(reply=_CONSOLE)
def show(call: Call, ident: str) -> Reply:
    """Show whether a node's console is on and where."""
    row = nodes.find(call, ident, ())
    return Reply(body=mask(call.conductor("get_console", node_id=row["id"])))


@takes(body=closed({"enabled": YES_OR_NO}, required=("enabled",)), status=202)
def set_enabled(call: Call, ident: str) -> Reply:
    """Switch a node's console on or off."""
    enabled = flag(call.body(), "enabled")
    row = nodes.find(call, ident, ())
    call.conductor_when_free("set_console", node_id=row["id"], enabled=enabled)
    return accepted(call, ident, "states", "console")
