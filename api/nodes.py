"""The resource ``/v1/nodes``: list, create, show, patch, delete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api import node_rules, paging, patch
from api.announce import announced
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LONGEST
from api.names import check_ident
from api.node_fields import NODE
from api.query import Query
from api.reach import PLACE
from drophammer import agents, allocations, difference, events, nodes, states
from drophammer.chassis import CHASSIS
from drophammer.errors import Invalid, NotFound
from drophammer.hardware import HardwareType
from drophammer.identity import normal_uuid
from drophammer.masking import unmask
from drophammer.model import new_uuid
from drophammer.states import STATES
from drophammer.store import Reader

NAMES_SINCE = 5
ENROLL_SINCE = 11
FAULTS = ("power failure", "clean failure", "rescue abort failure", "service failure")

_FILTERS = {
    "chassis_uuid": 1,
    "instance_uuid": 1,
    "associated": 1,
    "maintenance": 1,
    "provision_state": 9,
    "driver": 16,
    "resource_class": 21,
    "fault": 42,
    "conductor_group": 46,
    "conductor": 49,
    "owner": 50,
    "lessee": 65,
    "project": 1,
    "description_contains": 1,
    "retired": 1,
    "shard": 82,
    "sharded": 82,
    "parent_node": 83,
    "include_children": 83,
    "instance_name": 104,
}
# Below another noun.
BELOW_DETAIL = {**paging.ARGUMENTS}
BELOW = {**BELOW_DETAIL, "fields": 8, "detail": 1}
_DETAIL = {**paging.ARGUMENTS, **_FILTERS}
_LIST = {**_DETAIL, "fields": 8, "detail": 1}
# What a PATCH must know besides the patched fields themselves.
_FOR_PATCH = nodes.COLUMNS | nodes.SHOWN_AGENT | {"traits"}
_FOR_DELETE = nodes.LEASE_COLUMNS | {
    "provision_state",
    "maintenance",
    "instance_uuid",
    "protected",
    "name",
}


@takes(query=_LIST, lists=NODE)
def index(call: Call) -> Reply:
    """List nodes."""
    return listing(call, _filters(call))


@takes(query=_DETAIL, lists=NODE)
def detail(call: Call) -> Reply:
    """List nodes with all fields."""
    return listing(call, _filters(call), detail=True)


@takes(query={"fields": 8}, shows=NODE)
def show(call: Call, ident: str) -> Reply:
    """Show a node."""
    chosen = call.query.names("fields")
    fields = NODE.chosen(chosen, call.version) if chosen else NODE.visible(call.version)
    row = find(call, ident, fields.columns, fields.stored)
    return Reply(body=call.view().show(row, fields))


@takes(creates=NODE, required=("driver",), status=201, shows=NODE)
def create(call: Call) -> Reply:
    """Enroll a node."""
    body = NODE.check_new(call.body(), call.version, required=call.endpoint.required)
    values = node_rules.normalised(body, call.version)
    _check_reasons(values)
    group = values.get("conductor_group", "")
    given = {name: values.get(name) for name in node_rules.INTERFACE_FIELDS}
    values.update(_interfaces(call.hardware.driver(values["driver"], group), given))
    values.setdefault("resource_class", call.settings.default_resource_class)
    now = call.store.clock.now()
    values["uuid"] = values.get("uuid") or new_uuid()
    # Clients of before 1.11 know no state enroll and deploy what they have just created.
    old = call.version < ENROLL_SINCE
    values["provision_state"] = states.AVAILABLE if old else states.ENROLL
    values["created_at"] = now
    call.node = values["uuid"]
    row: dict[str, Any] = dict(values)
    with announced("node", "create", lambda: row), call.store.write() as session:
        _check_references(session, values)
        row = nodes.create(session, values)
        events.record(
            session,
            node_id=row["id"],
            at=now,
            source="api",
            kind="enroll",
            message=f"enrolled with driver {row['driver']}",
        )
    location = f"{call.base}/v1/nodes/{row['uuid']}"
    return Reply(201, _shown(call, {**row, **_NOTHING_YET}), {"Location": location})


@takes(query={"reset_interfaces": 45}, patches=NODE, shows=NODE)
def update(call: Call, ident: str) -> Reply:
    """Change a node."""
    steps = patch.parse(call.body(), NODE, call.version)
    reset = bool(call.query.boolean("reset_interfaces"))
    if reset and not any(step.root == "driver" for step in steps):
        raise Invalid("reset_interfaces is only possible together with a change of driver.")
    # Read before the transaction: the database is asked for conductors at most once.
    call.hardware.snapshot()

    def change(session: Session) -> tuple[nodes.Row, dict[str, Any]]:
        row = _find(session, call, ident, _FOR_PATCH, lock=True)
        node_rules.check_patchable(row, steps, call.version)
        check_free(call, row)
        changed = _patched(call, row, steps, reset=reset)
        _check_references(session, changed, row["uuid"])
        ended = allocations.ended_by(session, row, changed)
        if changed:
            changed["updated_at"] = call.store.clock.now()
            nodes.change(session, row["id"], changed)
        if ended is not None:
            allocations.destroy(session, ended)
        return {**row, **changed}, changed

    with announced("node", "update", whole(call, ident)):
        row, changed = call.write_when_free(change)
    if "boot_interface" in changed:
        call.refresh_netboot()
    return Reply(body=_shown(call, row))


@takes(status=204)
def delete(call: Call, ident: str) -> Reply:
    """Delete a node and all that belongs to it."""

    def remove(session: Session) -> None:
        agents.lock(session, _find(session, call, ident, ())["id"])
        row = _find(session, call, ident, _FOR_DELETE, lock=True)
        node_rules.check_deletable(row, available_too=call.settings.allow_deleting_available_nodes)
        check_free(call, row)
        nodes.remove(session, row["id"])
        # The node's own events go with it: this one is for those who follow all of them.
        events.record(
            session,
            node_id=None,
            at=call.store.clock.now(),
            source="api",
            kind="delete",
            message=f"node {row['uuid']} was deleted",
            data={"node": row["uuid"], "node_name": row.get("name")},
        )

    with announced("node", "delete", whole(call, ident)):
        call.write_when_free(remove)
    call.refresh_netboot()
    return Reply(204)


def listing(call: Call, filters: Mapping[str, Any], *, detail: bool = False) -> Reply:
    """A page of the nodes that pass ``filters``, in the form that the query asks for."""
    query = call.query
    fields = NODE.visible(call.version) if detail else paging.shown(query, NODE, call.version)
    page = paging.asked(query, NODE, call.version, call.settings.max_limit)
    with call.store.ask() as connection:
        rows = nodes.page(connection, filters, page, fields.columns, fields.stored)
    view = call.view()
    items = [view.show(row, fields) for row in rows]
    # An instance is on one node: there is never a next page.
    last = rows[-1]["uuid"] if rows and "instance_uuid" not in filters else None
    url = f"{call.base}{call.path}"
    return Reply(body=paging.document("nodes", items, url, query, page, last))


def find(
    call: Call, ident: str, wanted: Collection[str], stored: Collection[str] = ()
) -> nodes.Row:
    """A node by UUID or name, as the request names it. Raises Invalid or NotFound."""
    with call.store.ask() as connection:
        return _find(connection, call, ident, wanted, stored)


def whole(call: Call, ident: str) -> Callable[[], nodes.Row]:
    """What reads all columns of a node, when it is to be told of."""
    return lambda: find(call, ident, nodes.COLUMNS | {"traits"})


def find_locked(
    session: Session, call: Call, ident: str, wanted: Collection[str] = ()
) -> nodes.Row:
    """The same inside a transaction that is going to change the node. Raises NodeLocked too."""
    row = _find(session, call, ident, nodes.LEASE_COLUMNS | set(wanted), lock=True)
    check_free(call, row)
    return row


def check_free(call: Call, row: nodes.Row) -> None:
    """Raise NodeLocked when somebody holds the node, or others have waited for it longer."""
    call.check_turn(row["uuid"])
    nodes.check_free(row, call.store.clock.now())


# What a node that has just been created cannot have.
_NOTHING_YET: dict[str, Any] = dict.fromkeys(nodes.SHOWN_AGENT | {"traits"})


def _find(
    session: Reader,
    call: Call,
    ident: str,
    wanted: Collection[str],
    stored: Collection[str] = (),
    *,
    lock: bool = False,
) -> nodes.Row:
    check_ident(ident, "node")
    if normal_uuid(ident) is None and call.version < NAMES_SINCE:
        raise nodes.not_found(ident)
    row = nodes.find(session, ident, PLACE.union(wanted), stored, lock=lock)
    call.node = row["uuid"]
    call.place = (row["driver"], row["conductor_group"])
    return row


def _filters(call: Call) -> dict[str, Any]:
    query = call.query
    found: dict[str, Any] = {
        "chassis_uuid": _chassis(call),
        "instance_uuid": query.uuid("instance_uuid"),
        "parent_node": query.uuid("parent_node"),
        "shard": query.texts("shard"),
    }
    for name in ("associated", "maintenance", "retired", "sharded"):
        found[name] = query.boolean(name)
    for name in ("driver", "resource_class", "owner", "lessee", "project", "instance_name"):
        found[name] = query.text(name)
    found["description_contains"] = query.text("description_contains", longest=LONGEST)
    found["provision_state"] = _one_of(query, "provision_state", STATES)
    found["fault"] = _one_of(query, "fault", FAULTS)
    if (group := query.text("conductor_group")) is not None:
        found["conductor_group"] = group.lower()
    if (host := query.text("conductor")) is not None:
        found["served_by"] = call.hardware.snapshot().served_by(host)
    filters = {name: value for name, value in found.items() if value is not None}
    if "parent_node" not in filters and not query.boolean("include_children"):
        filters["parent_node"] = None
    return filters


def _chassis(call: Call) -> str | None:
    uuid = call.query.uuid("chassis_uuid")
    if uuid is None:
        return None
    with call.store.read() as session:
        return str(CHASSIS.find(session, uuid, ())["uuid"])


def _one_of(query: Query, name: str, allowed: Collection[str]) -> str | None:
    value = query.text(name)
    if value is not None and value not in allowed:
        raise Invalid(f"{name}: {value[:80]!r} is none of {', '.join(sorted(allowed))}.")
    return value


def _shown(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    return call.view().show(row, NODE.visible(call.version))


def _patched(call: Call, row: nodes.Row, steps: list[patch.Step], *, reset: bool) -> dict[str, Any]:
    """The columns that a patch changes, checked in every way."""
    known = {name: row.get(name) for name in NODE.fields}
    touched = patch.apply(steps, known, NODE)
    touched = {
        name: unmask(value, row[name]) if NODE.fields[name].masked else value
        for name, value in touched.items()
    }
    NODE.check_values(touched)
    touched = node_rules.normalised(touched, call.version)
    changed = difference.changed(row, touched)
    asked = {**row, **touched}
    interfaces = node_rules.INTERFACE_FIELDS & set(touched)
    if interfaces or changed.keys() & {"driver", "conductor_group"}:
        driver = call.hardware.driver(asked["driver"], asked["conductor_group"])
        given = {
            name: None if reset and name not in interfaces else asked[name]
            for name in (node_rules.INTERFACE_FIELDS if "driver" in changed else interfaces)
        }
        chosen = _interfaces(driver, given)
        changed = difference.changed(row, {**changed, **chosen})
    # Interfaces that a new driver brings along are not the operator's doing.
    brought = set() if "driver" not in changed else node_rules.INTERFACE_FIELDS - interfaces
    node_rules.check_changes(row, {k: v for k, v in changed.items() if k not in brought})
    return {**changed, **node_rules.follow_ups(row, changed)}


def _interfaces(driver: HardwareType, given: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: driver.choose(name.removesuffix("_interface"), given[name]) for name in given}


def _check_references(session: Session, values: Mapping[str, Any], own: str | None = None) -> None:
    """Raise Invalid when the chassis or the parent that a body names is not there."""
    if (chassis := values.get("chassis_uuid")) is not None:
        CHASSIS.referred(session, chassis, ())
    parent = values.get("parent_node")
    if parent is None:
        return
    try:
        while parent is not None:
            if parent == own:
                raise Invalid("A node cannot be its own parent, directly or by way of others.")
            parent = nodes.find(session, parent, {"parent_node"})["parent_node"]
    except NotFound as error:
        raise Invalid(error.message) from error


def _check_reasons(values: Mapping[str, Any]) -> None:
    if values.get("retired_reason") is not None and not values.get("retired"):
        raise Invalid("retired_reason is only possible together with retired.")
