"""What a node boots from next, asked of and told to its management interface."""

from __future__ import annotations

import functools

import jsonschema_rs

from api import nodes
from api.call import Call, Reply
from api.fields import TEXT, check, compiled


def show_boot_device(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/management/boot_device"""
    call.query({})
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("get_boot_device", node_id=row["id"]))


def set_boot_device(call: Call, ident: str) -> Reply:
    """PUT /v1/nodes/{ident}/management/boot_device"""
    call.query({})
    body = call.body()
    check(_schema(), body, "boot device")
    row = nodes.find(call, ident, ())
    call.conductor(
        "set_boot_device",
        node_id=row["id"],
        device=body["boot_device"],
        persistent=bool(body.get("persistent")),
    )
    return Reply(204)


def supported_boot_devices(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/management/boot_device/supported"""
    call.query({})
    row = nodes.find(call, ident, ())
    devices = call.conductor("supported_boot_devices", node_id=row["id"])
    return Reply(body={"supported_boot_devices": devices})


@functools.cache
def _schema() -> jsonschema_rs.Validator:
    properties = {"boot_device": TEXT, "persistent": {"type": ["boolean", "null"]}}
    return compiled(properties, required=("boot_device",))
