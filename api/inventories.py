"""What inspection found on a node."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import OBJECT, closed
from drophammer import inventories
from drophammer.errors import NotFound


@takes(reply=closed({"inventory": OBJECT, "plugin_data": OBJECT}))
def show(call: Call, ident: str) -> Reply:
    """Show what inspection found on a node."""
    row = nodes.find(call, ident, ())
    with call.store.read() as session:
        found = inventories.of_node(session, row["id"])
    if found is None:
        raise NotFound(
            f"Node {row['uuid']} has no inventory; it has not been inspected by a ramdisk."
        )
    return Reply(body={"inventory": found.inventory, "plugin_data": found.plugin_data})
