"""What a node boots from next, asked of and told to its management interface."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import closed, takes
from api.fields import BOOLEAN_OR_NULL, TEXT

_BOOT_DEVICE = closed(
    {"boot_device": TEXT, "persistent": BOOLEAN_OR_NULL}, required=("boot_device",)
)


@takes()
def show_boot_device(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/management/boot_device"""
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("get_boot_device", node_id=row["id"]))


@takes(body=_BOOT_DEVICE, status=204)
def set_boot_device(call: Call, ident: str) -> Reply:
    """PUT /v1/nodes/{ident}/management/boot_device"""
    body = call.body()
    row = nodes.find(call, ident, ())
    call.conductor(
        "set_boot_device",
        node_id=row["id"],
        device=body["boot_device"],
        persistent=bool(body.get("persistent")),
    )
    return Reply(204)


@takes()
def supported_boot_devices(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/management/boot_device/supported"""
    row = nodes.find(call, ident, ())
    devices = call.conductor("supported_boot_devices", node_id=row["id"])
    return Reply(body={"supported_boot_devices": devices})
