"""What a node boots from next, asked of and told to its management interface."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import BOOLEAN_OR_NULL, TEXT, TEXT_OR_NULL, TEXTS, closed

_BOOT_DEVICE = closed(
    {"boot_device": TEXT, "persistent": BOOLEAN_OR_NULL}, required=("boot_device",)
)


@takes(reply=closed({"boot_device": TEXT_OR_NULL, "persistent": BOOLEAN_OR_NULL}))
def show_boot_device(call: Call, ident: str) -> Reply:
    """Show what a node boots from next."""
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("get_boot_device", node_id=row["id"]))


@takes(body=_BOOT_DEVICE, status=204)
def set_boot_device(call: Call, ident: str) -> Reply:
    """Set what a node boots from next."""
    body = call.body()
    row = nodes.find(call, ident, ())
    call.conductor_when_free(
        "set_boot_device",
        node_id=row["id"],
        device=body["boot_device"],
        persistent=bool(body.get("persistent")),
    )
    return Reply(204)


@takes(reply=closed({"supported_boot_devices": TEXTS}))
def supported_boot_devices(call: Call, ident: str) -> Reply:
    """List what a node can boot from."""
    row = nodes.find(call, ident, ())
    devices = call.conductor("supported_boot_devices", node_id=row["id"])
    return Reply(body={"supported_boot_devices": devices})
