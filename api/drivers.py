"""The resource ``/v1/drivers``: what the running conductors can drive."""

from __future__ import annotations

from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LINKS, TEXT, TEXT_OR_NULL, TEXTS, Field, Row, Table
from api.node_fields import INTERFACE_SINCE
from api.view import View
from drophammer.errors import Invalid, NotFound
from drophammer.hardware import HardwareType

DETAIL_SINCE = 30


def _row(found: HardwareType) -> dict[str, Any]:
    row: dict[str, Any] = {"name": found.name, "hosts": list(found.hosts), "type": "dynamic"}
    for kind in INTERFACE_SINCE:
        row[f"default_{kind}_interface"] = found.defaults.get(kind)
        row[f"enabled_{kind}_interfaces"] = list(found.enabled.get(kind, ()))
    return row


def _links(row: Row, view: View) -> Any:
    return view.links("drivers", row["name"])


def _properties(row: Row, view: View) -> Any:
    return view.links("drivers", row["name"], "properties")


# From 1.30, or from when the interface came if that was later.
_INTERFACES = [
    Field(name, max(since, DETAIL_SINCE), schema)
    for kind, since in INTERFACE_SINCE.items()
    for name, schema in (
        (f"default_{kind}_interface", TEXT_OR_NULL),
        (f"enabled_{kind}_interfaces", TEXTS),
    )
]
DRIVER = Table(
    "driver",
    "drivers",
    [
        Field("name", 1, TEXT),
        Field("hosts", 1, TEXTS),
        Field("links", 1, LINKS, show=_links),
        Field("properties", 14, LINKS, show=_properties),
        Field("type", 30, TEXT),
        *_INTERFACES,
    ],
    brief=("name", "hosts", "links", "properties", "type"),
)


@takes(query={"type": 30, "detail": 30, "fields": 77}, lists=DRIVER)
def index(call: Call) -> Reply:
    """List the hardware types that running conductors can drive."""
    query = call.query
    chosen = query.names("fields")
    if chosen and query.boolean("detail"):
        raise Invalid("fields and detail cannot be used together.")
    fields = DRIVER.shown_in_lists(call.version)
    if chosen:
        fields = DRIVER.chosen(chosen, call.version)
    elif query.boolean("detail"):
        fields = DRIVER.visible(call.version)
    kind = query.text("type")
    if kind not in (None, "classic", "dynamic"):
        raise Invalid(f"type: {kind[:80]!r} is neither classic nor dynamic.")
    found = {} if kind == "classic" else call.hardware.snapshot().types()
    view = call.view()
    return Reply(body={"drivers": [view.show(_row(one), fields) for one in found.values()]})


@takes(query={"fields": 77}, shows=DRIVER)
def show(call: Call, name: str) -> Reply:
    """Show a hardware type with its interfaces."""
    chosen = call.query.names("fields")
    fields = DRIVER.chosen(chosen, call.version) if chosen else DRIVER.visible(call.version)
    return Reply(body=call.view().show(_row(known(call, name)), fields))


@takes(reply={"type": "object", "additionalProperties": {"type": "string"}})
def properties(call: Call, name: str) -> Reply:
    """Show what driver_info may hold for a hardware type."""
    return Reply(body=dict(known(call, name).properties))


def known(call: Call, name: str) -> HardwareType:
    """A driver that some running conductor has. Raises NotFound."""
    found = call.hardware.snapshot().type(name)
    if found is None:
        raise NotFound(f"Driver {name[:80]} could not be found on any running conductor.")
    return found
