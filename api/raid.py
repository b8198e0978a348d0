"""RAID: what a node's disks are to be joined to, and what may be said of a logical disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from api import drivers, nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import OBJECT, closed
from drophammer.errors import NotFound, Unsupported

_LOGICAL_DISKS = {"type": "array", "minItems": 1, "items": OBJECT}
# What a logical disk may be is the RAID interface's to say.
_CONFIG = closed({"logical_disks": _LOGICAL_DISKS})
_DESCRIPTIONS = {"type": "object", "additionalProperties": {"type": "string"}}


@takes(body=_CONFIG, status=204)
def set_target_config(call: Call, ident: str) -> Reply:
    """Set the RAID configuration that a node is to get when it is cleaned."""
    config = call.body()
    row = nodes.find(call, ident, ())
    with _unsupported_is_404():
        call.conductor_when_free("set_target_raid_config", node_id=row["id"], config=config)
    return Reply(204)


@takes(reply=_DESCRIPTIONS)
def logical_disk_properties(call: Call, name: str) -> Reply:
    """List what may be said of a logical disk, with descriptions."""
    driver = drivers.known(call, name)
    with _unsupported_is_404():
        return Reply(body=call.conductor("raid_logical_disk_properties", driver=driver.name))


@contextlib.contextmanager
def _unsupported_is_404() -> Iterator[None]:
    """Here, and only here, clients expect that what a driver has not is not found."""
    try:
        yield
    except Unsupported as error:
        raise NotFound(error.message) from error
