"""The resource ``/v1/ports``, and the ports below a node."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from api import nodes, paging
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LONGEST, TEXT, Field, Table
from api.names import check_ident
from api.node_resource import NodeResource
from api.port_fields import PORT
from api.versions import text as version_text
from drophammer import states
from drophammer.bootspec import normal_mac
from drophammer.errors import Conflict, Forbidden, Invalid
from drophammer.identity import normal_uuid
from drophammer.portgroups import PORTGROUPS
from drophammer.ports import PORTS as ROWS
from drophammer.rows import Row, Rows
from drophammer.text import misplaced

NODE_IDENT_SINCE = 94
NAMES_SINCE = 88
CONNECTIVITY = frozenset(
    {
        "address",
        "local_link_connection",
        "node_uuid",
        "physical_network",
        "portgroup_uuid",
        "pxe_enabled",
    }
)
CHANGEABLE = frozenset({states.ENROLL, states.INSPECTING, states.INSPECT_WAIT, states.MANAGEABLE})
_OF_NODE = {**paging.ARGUMENTS, "address": 1}


class Ports(NodeResource):
    """Ports; netboot hears of every change."""

    filters = {
        "node": 1,
        "node_uuid": 1,
        "address": 1,
        "portgroup": 24,
        "shard": 82,
        "conductor_groups": 99,
        "description_contains": 97,
    }
    required = ("address", "node_uuid")
    names_since = NAMES_SINCE

    def __init__(self, table: Table, rows: Rows) -> None:
        super().__init__(table, rows)
        ident = {"node_ident": Field("node_ident", NODE_IDENT_SINCE, TEXT)}
        # One of node_uuid and node_ident: no list of required fields can say that.
        self.create = replace(self.create, required=("address",), also=ident)

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By node, address, group, shard, conductor group or words."""
        query = call.query
        node = query.text("node_uuid") or query.text("node")
        if sum(bool(value) for value in (node, query.text("portgroup"), query.text("shard"))) > 1:
            raise Forbidden("node, portgroup and shard cannot be used together.")
        address, group = query.text("address"), query.text("portgroup")
        found = {
            "conductor_groups": query.names("conductor_groups"),
            "description_contains": query.text("description_contains", longest=LONGEST),
            "shard": query.texts("shard"),
            "address": None if address is None else normal_mac(address),
            "node_id": None if node is None else nodes.find(call, node, ())["id"],
            "portgroup_uuid": None if group is None else _group_uuid(call, group),
        }
        return {name: value for name, value in found.items() if value is not None}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """MAC addresses and UUIDs in their usual spelling."""
        values = super().normalised(values, version)
        if "address" in values:
            values["address"] = normal_mac(values["address"])
        if values.get("portgroup_uuid") is not None:
            values["portgroup_uuid"] = normal_uuid(values["portgroup_uuid"])
        _check_kept_address((values.get("extra") or {}).get("ip_address"))
        return values

    def prepare(self, call: Call, session: Session, values: dict[str, Any]) -> dict[str, Any]:
        """The node, and the group on it."""
        joined = super().prepare(call, session, values)
        _check_group(session, values, values["node_id"])
        return joined

    def check_change(self, call: Call, session: Session, row: Row, changed: dict[str, Any]) -> None:
        """A port on which somebody works, or a system runs, stays as it is."""
        _check_state(row, changed)
        moves = "node_uuid" in changed
        if moves:
            self.check_detached(row)
        super().check_change(call, session, row, changed)
        if moves:
            _check_state(row, {"node_uuid": row["node_uuid"], **changed})
        _check_group(session, {**row, **changed} if moves else changed, row["node_id"])

    def check_remove(self, call: Call, session: Session, row: Row) -> None:
        """A port that is in use stays."""
        super().check_remove(call, session, row)
        self.check_detached(row)

    def changed(self, call: Call) -> None:
        """Addresses have changed: netboot should know."""
        call.refresh_netboot()

    def _new(self, call: Call) -> dict[str, Any]:
        body = self._meant(call.body())
        if isinstance(body, dict) and "node_ident" in body and call.version >= NODE_IDENT_SINCE:
            ident = body.pop("node_ident")
            if "node_uuid" in body or not isinstance(ident, str):
                raise Invalid("Give either node_uuid or node_ident, as a text.")
            checked = PORT.check_new(body, call.version, required=("address",))
            check_ident(ident, "node")
            return {**checked, "node_uuid": ident}
        if isinstance(body, dict) and isinstance(ident := body.get("node_uuid"), str):
            _check_node_uuid(ident)
        return PORT.check_new(body, call.version, self.required)


def _check_kept_address(wish: object) -> None:
    """Raise Invalid for what DHCP could not keep for the card, whichever subnet it is in."""
    if wish is None:
        return
    strange = misplaced(wish, "0-9A-Fa-f.:")
    try:
        # A zone behind an address (RFC 4007) could be any text.
        ipaddress.ip_address(wish if isinstance(wish, str) and not strange else "")
    except ValueError:
        raise Invalid(
            "extra.ip_address, the address that DHCP keeps for this card, is not an IP address"
            f"{strange}."
        ) from None


def _check_group(session: Session, values: dict[str, Any], node_id: int) -> None:
    """The port group named in a body must be there, and of the same node."""
    group = values.get("portgroup_uuid")
    if group is not None:
        found = PORTGROUPS.referred(session, group, {"node_id"})
        if found["node_id"] != node_id:
            raise Invalid(f"Portgroup {group} belongs to another node.")


def _check_node_uuid(ident: str) -> None:
    if normal_uuid(ident) is None:
        raise Invalid(
            f"node_uuid must be a UUID, not {ident[:80]!r}; a node's name is possible as "
            f"node_ident, from API version {version_text(NODE_IDENT_SINCE)}."
        )


def _check_state(row: Row, changed: dict[str, Any]) -> None:
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


def _group_uuid(call: Call, ident: str) -> str:
    check_ident(ident, "portgroup")
    with call.store.read() as session:
        return str(PORTGROUPS.find(session, ident, ())["uuid"])


PORTS = Ports(PORT, ROWS)


@takes(query={**_OF_NODE, "fields": 8, "detail": 1}, lists=PORT)
def of_node(call: Call, ident: str) -> Reply:
    """List the ports of a node."""
    return PORTS.of_node(call, ident)


@takes(query=_OF_NODE, lists=PORT)
def of_node_detail(call: Call, ident: str) -> Reply:
    """List the ports of a node with all fields."""
    return PORTS.of_node(call, ident, detail=True)


@takes(query=paging.ARGUMENTS, lists=PORT)
def of_portgroup_detail(call: Call, ident: str) -> Reply:
    """List the ports of a port group with all fields."""
    return PORTS.listing(call, {"portgroup_uuid": _group_uuid(call, ident)}, detail=True)


@takes(query={**paging.ARGUMENTS, "fields": 8, "detail": 1}, lists=PORT)
def of_portgroup(call: Call, ident: str) -> Reply:
    """List the ports of a port group."""
    return PORTS.listing(call, {"portgroup_uuid": _group_uuid(call, ident)})
