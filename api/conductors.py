"""The resource ``/v1/conductors``: who works here."""

from __future__ import annotations

from typing import Any

from api import paging
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import BOOLEAN, LINKS, TEXT, TEXTS, TIME, Field, Row, Table
from api.view import View
from drophammer import hardware
from drophammer.model import Conductor


def _links(row: Row, view: View) -> Any:
    return view.links("conductors", row["hostname"])


CONDUCTOR = Table(
    "conductor",
    "conductors",
    [
        Field("hostname", 1, TEXT, sort=True),
        Field("conductor_group", 1, {"type": "string"}, sort=True),
        Field("alive", 1, BOOLEAN),
        Field("drivers", 1, TEXTS),
        Field("created_at", 1, TIME, sort=True),
        Field("updated_at", 1, TIME),
        Field("links", 1, LINKS, show=_links),
    ],
    brief=("hostname", "conductor_group", "alive", "links"),
)


@takes(query={**paging.ARGUMENTS, "fields": 1, "detail": 1}, lists=CONDUCTOR)
def index(call: Call) -> Reply:
    """List the conductors, alive or not."""
    query = call.query
    fields = paging.shown(query, CONDUCTOR, call.version)
    page = paging.asked(query, CONDUCTOR, call.version, call.settings.max_limit)
    with call.store.read() as session:
        found = hardware.conductor_page(session, page)
    view = call.view()
    items = [view.show(_row(call, one), fields) for one in found]
    last = found[-1].hostname if found else None
    url = f"{call.base}{call.path}"
    return Reply(body=paging.document("conductors", items, url, query, page, last))


@takes(query={"fields": 1}, shows=CONDUCTOR)
def show(call: Call, hostname: str) -> Reply:
    """Show a conductor."""
    chosen = call.query.names("fields")
    fields = CONDUCTOR.chosen(chosen, call.version) if chosen else CONDUCTOR.visible(call.version)
    with call.store.read() as session:
        found = hardware.conductor_by_host(session, hostname)
    return Reply(body=call.view().show(_row(call, found), fields))


def _row(call: Call, found: Conductor) -> dict[str, Any]:
    return {
        "hostname": found.hostname,
        "conductor_group": found.conductor_group,
        "alive": found.online and found.seen_at > call.hardware.alive_since(),
        "drivers": sorted(found.hardware_types),
        "created_at": found.created_at,
        "updated_at": found.seen_at,
    }
