"""What happened, in order, for those who follow along: to a node, or to all. Our own addition."""

from __future__ import annotations

import functools
from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.eventstream import PAGE
from api.eventtext import HEADERS, greeting, message, shown
from api.fields import OBJECT, TEXT, TEXT_OR_NULL, TIME, UUID_OR_NULL, closed
from api.names import check_ident
from api.openapi import JSON
from api.query import parsed_integer
from api.view import time
from drophammer import events
from drophammer.events import Wanted
from drophammer.masking import mask
from drophammer.nodes import find

DEFAULT_LIMIT = 100
LARGEST_ID = 2**63 - 1
STREAM = "text/event-stream"
LAST_ID = "Last-Event-ID"
_PARTS: dict[str, Any] = {
    "id": {"type": "integer"},
    "at": TIME,
    "source": TEXT,
    "kind": TEXT,
    "message": {"type": "string"},
    "data": {**OBJECT, "type": ["object", "null"]},
}


def _page_of(parts: dict[str, Any]) -> dict[str, Any]:
    return closed(
        {"events": {"type": "array", "items": closed(parts)}, "next_after": {"type": "integer"}},
        required=("events", "next_after"),
    )


_EVENTS = _page_of(_PARTS)
_EVENTS_OF_ALL = _page_of({**_PARTS, "node": UUID_OR_NULL, "node_name": TEXT_OR_NULL})


@takes(query={"after": 1, "limit": 1}, reply=_EVENTS)
def index(call: Call, ident: str) -> Reply:
    """List what happened to a node, oldest first."""
    query = call.query
    after = query.integer("after", least=0, most=LARGEST_ID) or 0
    limit = min(query.integer("limit", least=1) or DEFAULT_LIMIT, call.settings.max_limit)
    row = nodes.find(call, ident, ())
    with call.store.read() as session:
        found = events.of_node(session, row["id"], after, limit)
    items = [
        {
            "id": event.id,
            "at": time(event.at),
            "source": event.source,
            "kind": event.kind,
            "message": event.message,
            "data": mask(event.data),
        }
        for event in found
    ]
    return Reply(body={"events": items, "next_after": found[-1].id if found else after})


@takes(
    query={"after": 1, "limit": 1, "node": 1, "kind": 1, "source": 1, "stream": 1},
    headers=(LAST_ID,),
    reply=_EVENTS_OF_ALL,
    media_too=STREAM,
)
def follow(call: Call) -> Reply:
    """Follow what happens to all nodes as a stream, or read it in pages."""
    after = _after(call)
    wanted = _wanted(call)
    limit = call.query.integer("limit", least=1) or DEFAULT_LIMIT
    streams = call.query.boolean("stream")
    if streams if streams is not None else call.prefers(STREAM, JSON):
        return _stream(call, wanted, after)
    return _page(call, wanted, after or 0, min(limit, call.settings.max_limit))


def _page(call: Call, wanted: Wanted, after: int, limit: int) -> Reply:
    until = call.services.stream.tail.settled()
    with call.store.ask() as connection:
        found = events.of_all(connection, after=after, until=until, wanted=wanted, limit=limit)
    # What the filters leave out need not be looked through again.
    last = found[-1].id if len(found) == limit else max(after, until)
    return Reply(body={"events": [shown(event) for event in found], "next_after": last})


def _stream(call: Call, wanted: Wanted, after: int | None) -> Reply:
    stream = call.services.stream
    position = stream.tail.newest() if after is None else after
    if call.take_over is not None:
        stream.check_room()
        call.take_over(functools.partial(stream.adopt, wanted=wanted, position=position))
        return Reply(body=b"", headers=HEADERS)
    # Under a server that cannot hand the connection over: what there is. Clients of event
    # streams come back for more by themselves.
    until = stream.tail.settled()
    with call.store.ask() as connection:
        found = events.of_all(connection, after=position, until=until, wanted=wanted, limit=PAGE)
    told = b"".join(message(event) for event in found)
    return Reply(body=greeting(position) + told, headers=HEADERS)


def _after(call: Call) -> int | None:
    """The id behind which to begin. A client that comes back knows better than its URL."""
    last = call.headers.get(LAST_ID)
    if last:
        return parsed_integer(LAST_ID, last, least=0, most=LARGEST_ID)
    return call.query.integer("after", least=0, most=LARGEST_ID)


def _wanted(call: Call) -> Wanted:
    query = call.query
    ident = query.text("node")
    return Wanted(
        node_id=None if ident is None else _node_id(call, ident),
        kinds=frozenset(query.names("kind") or ()),
        source=query.text("source"),
    )


def _node_id(call: Call, ident: str) -> int:
    """Of a node by UUID or name, in every version: only ours has this address at all."""
    check_ident(ident, "node")
    with call.store.ask() as connection:
        return int(find(connection, ident, ())["id"])
