"""The resource ``/v1/ports``, and the ports below a node."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import nodes, paging, patch
from api.call import Call, Reply
from api.fields import LONGEST, Field
from api.names import check_ident, check_name
from api.port_fields import PORT
from api.query import Query
from api.versions import text as version_text
from api.view import columns
from drophammer import nodes as node_rows
from drophammer import ports, states
from drophammer.bootspec import normal_mac
from drophammer.errors import Conflict, Forbidden, Invalid, NotFound
from drophammer.model import new_uuid

NODE_IDENT_SINCE = 94
NAMES_SINCE = 88
CONNECTIVITY = frozenset({"address", "pxe_enabled", "local_link_connection", "physical_network"})
CHANGEABLE = frozenset({states.ENROLL, states.INSPECTING, states.INSPECT_WAIT, states.MANAGEABLE})
_VIF_KEYS = ("tenant_vif_port_id", "cleaning_vif_port_id", "provisioning_vif_port_id")

_FILTERS = {
    "node": 1,
    "node_uuid": 1,
    "address": 1,
    "portgroup": 24,
    "shard": 82,
    "conductor_groups": 99,
    "description_contains": 97,
}
_DETAIL = {**paging.ARGUMENTS, **_FILTERS}
_LIST = {**_DETAIL, "fields": 8, "detail": 1}
_NODE_DETAIL = {**paging.ARGUMENTS, "address": 1}
_NODE_LIST = {**_NODE_DETAIL, "fields": 8, "detail": 1}
_FOR_CHANGE = ports.COLUMNS | ports.NODE_COLUMNS


def index(call: Call) -> Reply:
    """GET /v1/ports"""
    query = call.query(_LIST)
    return _list(call, query, paging.shown(query, PORT, call.version), _filters(call, query))


def detail(call: Call) -> Reply:
    """GET /v1/ports/detail"""
    query = call.query(_DETAIL)
    return _list(call, query, PORT.visible(call.version), _filters(call, query))


def of_node(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/ports"""
    query = call.query(_NODE_LIST)
    row = nodes.find(call, ident, ())
    filters = {**_filters(call, query), "node_id": row["id"]}
    return _list(call, query, paging.shown(query, PORT, call.version), filters)


def of_node_detail(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/ports/detail"""
    query = call.query(_NODE_DETAIL)
    row = nodes.find(call, ident, ())
    filters = {**_filters(call, query), "node_id": row["id"]}
    return _list(call, query, PORT.visible(call.version), filters)


def show(call: Call, ident: str) -> Reply:
    """GET /v1/ports/{ident}"""
    query = call.query({"fields": 8})
    chosen = query.names("fields")
    fields = PORT.chosen(chosen, call.version) if chosen else PORT.visible(call.version)
    with call.store.read() as session:
        row = _find(session, call, ident, columns(fields))
    return Reply(body=call.view().show(row, fields))


def create(call: Call) -> Reply:
    """POST /v1/ports"""
    call.query({})
    values = _normalised(_new(call), call.version)
    ident = values.pop("node_uuid")
    values["uuid"] = values.get("uuid") or new_uuid()
    values["created_at"] = call.store.clock.now()
    with call.store.write() as session:
        try:
            node = node_rows.find(session, ident, ())
        except NotFound as error:
            # The node is named in the body: what is wrong is the body, not the address.
            raise Invalid(error.message) from error
        call.node = node["uuid"]
        row = ports.create(session, {**values, "node_id": node["id"]})
    call.refresh_netboot()
    location = f"{call.base}/v1/ports/{row['uuid']}"
    return Reply(201, _shown(call, {**row, "node_uuid": node["uuid"]}), {"Location": location})


def update(call: Call, ident: str) -> Reply:
    """PATCH /v1/ports/{ident}"""
    call.query({})
    steps = patch.parse(call.body(), PORT, call.version)
    for step in steps:
        if step.root == "address" and step.op == "remove":
            raise Invalid("A port cannot be without an address; replace it instead.")

    def change(session: Session) -> ports.Row:
        row = _find(session, call, ident, _FOR_CHANGE, lock=True)
        touched = patch.apply(steps, {name: row.get(name) for name in PORT.fields}, PORT)
        PORT.check_values(touched)
        touched = _normalised(touched, call.version)
        changed = {name: value for name, value in touched.items() if value != row[name]}
        _check_state(row, changed)
        _check_free(call, row)
        if changed:
            changed["updated_at"] = call.store.clock.now()
            ports.change(session, row["id"], changed)
        return {**row, **changed}

    row = call.write_when_free(change)
    call.refresh_netboot()
    return Reply(body=_shown(call, row))


def delete(call: Call, ident: str) -> Reply:
    """DELETE /v1/ports/{ident}"""
    call.query({})

    def remove(session: Session) -> None:
        row = _find(session, call, ident, _FOR_CHANGE, lock=True)
        _check_free(call, row)
        if any(row["internal_info"].get(key) for key in _VIF_KEYS):
            raise Conflict(f"Port {row['uuid']} has a VIF attached; detach it first.")
        ports.remove(session, row["id"])

    call.write_when_free(remove)
    call.refresh_netboot()
    return Reply(204)


def _new(call: Call) -> dict[str, Any]:
    body = call.body()
    if isinstance(body, dict) and "node_ident" in body and call.version >= NODE_IDENT_SINCE:
        ident = body.pop("node_ident")
        if "node_uuid" in body or not isinstance(ident, str):
            raise Invalid("Give either node_uuid or node_ident, as a text.")
        checked = PORT.check_new(body, call.version, required=("address",))
        check_ident(ident, "node")
        return {**checked, "node_uuid": ident}
    if isinstance(body, dict) and isinstance(ident := body.get("node_uuid"), str):
        _check_node_uuid(ident)
    return PORT.check_new(body, call.version, required=("address", "node_uuid"))


def _check_node_uuid(ident: str) -> None:
    if node_rows.normal_uuid(ident) is None:
        raise Invalid(
            f"node_uuid must be a UUID, not {ident[:80]!r}; a node's name is possible as "
            f"node_ident, from API version {version_text(NODE_IDENT_SINCE)}."
        )


def _normalised(values: dict[str, Any], version: int) -> dict[str, Any]:
    result = dict(values)
    if "address" in result:
        result["address"] = normal_mac(result["address"])
    if result.get("name") is not None:
        check_name(result["name"], "port", version)
    if result.get("uuid") is not None:
        result["uuid"] = node_rows.normal_uuid(result["uuid"])
    if (group := result.pop("portgroup_uuid", None)) is not None:
        raise Invalid(f"Portgroup {group} could not be found.")
    return result


def _find(
    session: Session, call: Call, ident: str, wanted: Any, *, lock: bool = False
) -> ports.Row:
    check_ident(ident, "port")
    if node_rows.normal_uuid(ident) is None and call.version < NAMES_SINCE:
        raise ports.not_found(ident)
    row = ports.find(session, ident, set(wanted) | {"node_uuid"}, lock=lock)
    call.node = row["node_uuid"]
    return row


def _check_state(row: ports.Row, changed: dict[str, Any]) -> None:
    state = row["node_provision_state"]
    what = ", ".join(sorted(CONNECTIVITY & set(changed)))
    if what and state not in CHANGEABLE and not row["node_maintenance"]:
        raise Conflict(
            f"{what} of port {row['uuid']} cannot change while node {row['node_uuid']} is in "
            f"state '{state}'; it must be in one of {', '.join(sorted(CHANGEABLE))}, or in "
            "maintenance."
        )
    if "address" in changed and (state == states.ACTIVE or row["node_instance_uuid"]):
        raise Conflict(
            f"The MAC address of port {row['uuid']} cannot change while node "
            f"{row['node_uuid']} has an instance."
        )


def _check_free(call: Call, row: ports.Row) -> None:
    node_rows.check_free({**row, "uuid": row["node_uuid"]}, call.store.clock.now())


def _filters(call: Call, query: Query) -> dict[str, Any]:
    node = query.text("node_uuid") or query.text("node")
    if sum(bool(value) for value in (node, query.text("portgroup"), query.text("shard"))) > 1:
        raise Forbidden("node, portgroup and shard cannot be used together.")
    if (group := query.text("portgroup")) is not None:
        raise NotFound(f"Portgroup {group[:80]} could not be found.")
    found: dict[str, Any] = {
        "conductor_groups": query.names("conductor_groups"),
        "description_contains": query.text("description_contains", longest=LONGEST),
    }
    if (shard := query.text("shard")) is not None:
        found["shard"] = [part.strip() for part in shard.split(",") if part.strip()]
    if (address := query.text("address")) is not None:
        found["address"] = normal_mac(address)
    if node is not None:
        found["node_id"] = nodes.find(call, node, ())["id"]
    return {name: value for name, value in found.items() if value is not None}


def _list(call: Call, query: Query, fields: list[Field], filters: dict[str, Any]) -> Reply:
    page = paging.asked(query, PORT, call.version, call.settings.max_limit)
    with call.store.read() as session:
        rows = ports.page(session, filters, page, columns(fields))
    view = call.view()
    items = [view.show(row, fields) for row in rows]
    last = rows[-1]["uuid"] if rows else None
    url = f"{call.base}{call.path}"
    return Reply(body=paging.document("ports", items, url, query, page, last))


def _shown(call: Call, row: ports.Row) -> dict[str, Any]:
    return call.view().show(row, PORT.visible(call.version))
