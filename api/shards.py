"""How many nodes each shard has: ``/v1/shards``."""

from __future__ import annotations

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from drophammer import nodes

# Clients know the nodes without a shard by this name.
NO_SHARD = "None"
_SHARD = closed({"name": {"type": "string"}, "count": {"type": "integer"}})
_SHARDS = closed({"shards": {"type": "array", "items": _SHARD}}, required=("shards",))


@takes(reply=_SHARDS)
def index(call: Call) -> Reply:
    """List shards with the numbers of their nodes."""
    with call.store.ask() as connection:
        found = nodes.count_by_shard(connection)
    shards = [
        {"name": NO_SHARD if shard is None else shard, "count": count} for shard, count in found
    ]
    return Reply(body={"shards": shards})
