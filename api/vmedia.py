"""Virtual media: images that a node's controller shows it as a disk or drive."""

from __future__ import annotations

from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from drophammer.errors import Invalid
from drophammer.masking import mask

DEVICES = ("cdrom", "disk", "floppy")
_SCHEMES = "http|https|nfs|cifs"
_IMAGE = closed(
    {
        "device_type": {"enum": list(DEVICES)},
        "image_url": {
            "type": "string",
            "pattern": rf"^({_SCHEMES})://[^/\s]+\S*$",
            "maxLength": 4096,
        },
        "image_download_source": {"enum": ["http", "local", "swift"]},
    },
    required=("device_type", "image_url"),
)
# Some clients name the devices in a body, though this is a DELETE.
_WHICH = closed({"device_types": {"type": ["string", "array"], "items": {"type": "string"}}})
_MEDIA: dict[str, Any] = {"type": ["array", "object"]}


@takes(reply=_MEDIA)
def index(call: Call, ident: str) -> Reply:
    """Show the virtual media of a node, as its hardware tells of them."""
    row = nodes.find(call, ident, ())
    return Reply(body=mask(call.conductor("get_vmedia", node_id=row["id"])))


@takes(body=_IMAGE, status=204)
def attach(call: Call, ident: str) -> Reply:
    """Attach an image to a node as virtual media."""
    body = call.body()
    row = nodes.find(call, ident, ())
    call.conductor_when_free(
        "attach_vmedia",
        node_id=row["id"],
        device_type=body["device_type"],
        image_url=body["image_url"],
        image_download_source=body.get("image_download_source"),
    )
    return Reply(204)


@takes(query={"device_types": 1}, body=_WHICH, optional=True, status=204)
def detach(call: Call, ident: str) -> Reply:
    """Detach virtual media from a node: those of some device types, or all."""
    devices = call.query.names("device_types")
    if devices is None:
        devices = _named((call.body() or {}).get("device_types"))
    unknown = sorted(set(devices) - set(DEVICES))
    if unknown:
        raise Invalid(
            f"{', '.join(name[:80] for name in unknown[:20])}: no virtual media; these are: "
            f"{', '.join(DEVICES)}."
        )
    row = nodes.find(call, ident, ())
    # No names at all mean all devices there.
    call.conductor_when_free("detach_vmedia", node_id=row["id"], device_types=devices)
    return Reply(204)


def _named(given: str | list[str] | None) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given or []
    return list(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
