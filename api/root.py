"""The documents at ``/`` and ``/v1``: which versions there are and where things are."""

from __future__ import annotations

from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LINKS, TEXT, closed
from api.schemas import since
from api.versions import MAXIMUM, MINIMUM, text

RESOURCES_SINCE = {
    "nodes": 1,
    "ports": 1,
    "chassis": 1,
    "drivers": 1,
    "lookup": 22,
    "heartbeat": 22,
    "portgroups": 23,
    "volume": 32,
    "conductors": 49,
    "allocations": 52,
    "events": 54,
    "deploy_templates": 55,
    "shards": 82,
    "continue_inspection": 84,
    "runbooks": 92,
    "inspection_rules": 96,
}

_VERSION = closed(
    {"id": TEXT, "links": LINKS, "status": TEXT, "min_version": TEXT, "version": TEXT},
    required=("id", "links", "status", "min_version", "version"),
)
_INDEX = closed(
    {
        "name": TEXT,
        "description": TEXT,
        "default_version": _VERSION,
        "versions": {"type": "array", "items": _VERSION},
    },
    required=("name", "description", "default_version", "versions"),
)
_V1 = closed(
    {
        "id": TEXT,
        "links": LINKS,
        "media_types": {"type": "array", "items": closed({"base": TEXT, "type": TEXT})},
        "version": _VERSION,
        **{name: {**LINKS, **since(minor)} for name, minor in RESOURCES_SINCE.items()},
    },
    required=("id", "links", "media_types", "version"),
)


@takes(reply=_INDEX)
def index(call: Call) -> Reply:
    """Show the versions of the API."""
    version = _version(call)
    return Reply(
        body={
            "name": "Drophammer bare metal API",
            "description": "Turns racked machines into running systems; speaks the OpenStack "
            "bare metal API.",
            "default_version": version,
            "versions": [version],
        }
    )


@takes(reply=_V1)
def v1(call: Call) -> Reply:
    """Show links to the resources that the version has."""
    view = call.view()
    body: dict[str, Any] = {
        "id": "v1",
        "links": [{"href": f"{call.base}/v1/", "rel": "self"}],
        "media_types": [
            {"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}
        ],
        "version": _version(call),
    }
    for name, minor in RESOURCES_SINCE.items():
        if minor <= call.version and name in call.services.resources:
            body[name] = view.links(name)
    return Reply(body=body)


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v1",
        "links": [{"href": f"{call.base}/v1/", "rel": "self"}],
        "status": "CURRENT",
        "min_version": text(MINIMUM),
        "version": text(MAXIMUM),
    }
