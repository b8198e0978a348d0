"""The documents at ``/`` and ``/v1``: which versions there are and where things are."""

from __future__ import annotations

from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
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


@takes()
def index(call: Call) -> Reply:
    """GET /"""
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


@takes()
def v1(call: Call) -> Reply:
    """GET /v1: links to the resources that this version has."""
    view = call.view()
    body: dict[str, Any] = {
        "id": "v1",
        "links": [{"href": f"{call.base}/v1/", "rel": "self"}],
        "media_types": [
            {"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}
        ],
        "version": _version(call),
    }
    for name, since in RESOURCES_SINCE.items():
        if since <= call.version and name in call.services.resources:
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
