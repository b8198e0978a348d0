"""What other services report: ``/v1/events``. It is only logged."""

from __future__ import annotations

import logging
from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import TEXT, UUID, UUID_OR_NULL, closed

LOG = logging.getLogger(__name__)
KINDS = ("network.bind_port", "network.unbind_port", "network.delete_port")
_MAC = {"type": "string", "pattern": "^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"}
_EVENT: dict[str, Any] = closed(
    {
        "event": {"enum": list(KINDS)},
        "port_id": UUID,
        "mac_address": _MAC,
        "status": TEXT,
        "device_id": UUID_OR_NULL,
        "binding:host_id": UUID_OR_NULL,
        "binding:vnic_type": {"type": ["string", "null"], "maxLength": 255},
    },
    required=("event", "port_id", "mac_address", "status"),
)
_EVENTS = closed(
    {"events": {"type": "array", "minItems": 1, "items": _EVENT}}, required=("events",)
)


@takes(body=_EVENTS, status=204)
def receive(call: Call) -> Reply:
    """Take note of what happened to ports of the network service."""
    for event in call.body()["events"]:
        LOG.info(
            "%s: %s of port %s (%s): %r",
            call.request_id,
            event["event"],
            event["port_id"],
            event["mac_address"],
            event["status"],
        )
    return Reply(204)
