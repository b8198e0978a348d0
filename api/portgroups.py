"""The resource ``/v1/portgroups``: ports of a node that are bonded."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.call import Call
from api.fields import (
    BOOLEAN,
    LINKS,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    UUID,
    Field,
    Row,
    Table,
)
from api.node_resource import NodeResource
from api.view import View
from drophammer import states
from drophammer.bootspec import normal_mac
from drophammer.errors import Conflict, Invalid
from drophammer.portgroups import PORTGROUPS as ROWS
from drophammer.ports import PORTS
from drophammer.rows import Row as StoredRow

INSPECTING_FROZEN_SINCE = 39


def _links(row: Row, view: View) -> Any:
    return view.links("portgroups", row["uuid"])


def _ports(row: Row, view: View) -> Any:
    return view.links("portgroups", row["uuid"], "ports")


# fmt: off
TABLE = Table(
    "portgroup",
    "portgroups",
    [
        Field("uuid", 23, UUID, create=True, sort=True),
        Field("address", 23, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("name", 23, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("node_uuid", 23, UUID, create=True, patch=True),
        Field("extra", 23, OBJECT, create=True, patch=True, default={}),
        Field("internal_info", 23, OBJECT, masked=True),
        Field("standalone_ports_supported", 23, BOOLEAN,
              create=True, patch=True, sort=True, default=True),
        Field("created_at", 23, TIME, sort=True),
        Field("updated_at", 23, TIME, sort=True),
        Field("links", 23, LINKS, columns=("uuid",), show=_links),
        Field("ports", 23, LINKS, columns=("uuid",), show=_ports),
        Field("mode", 26, TEXT, create=True, patch=True, sort=True, default="active-backup"),
        Field("properties", 26, OBJECT, create=True, patch=True, default={}),
        Field("physical_network", 102, {**TEXT_OR_NULL, "maxLength": 64},
              create=True, patch=True, sort=True),
        Field("category", 103, {**TEXT_OR_NULL, "maxLength": 80},
              create=True, patch=True, sort=True),
        Field("dynamic_portgroup", 111, BOOLEAN, sort=True),
    ],
    brief=("uuid", "address", "name", "links"),
)
# fmt: on


class Portgroups(NodeResource):
    """Port groups. One with ports in it is neither deleted nor moved to another node."""

    filters = {"node": 1, "address": 1, "shard": 106, "conductor_groups": 99}
    required = ("node_uuid",)

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By node, address, shard or conductor group."""
        address = call.query.text("address")
        found = {
            "address": None if address is None else normal_mac(address),
            "conductor_groups": call.query.names("conductor_groups"),
            "shard": call.query.texts("shard"),
        }
        given = {name: value for name, value in found.items() if value is not None}
        return {**super().narrowed(call), **given}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """The MAC address in its usual spelling."""
        values = super().normalised(values, version)
        if values.get("address") is not None:
            values["address"] = normal_mac(values["address"])
        return values

    def check_change(
        self, call: Call, session: Session, row: StoredRow, changed: dict[str, Any]
    ) -> None:
        """A group stays as it is while its node is being inspected."""
        inspecting = row["node_provision_state"] == states.INSPECTING
        if inspecting and call.version >= INSPECTING_FROZEN_SINCE:
            raise Conflict(
                f"Portgroup {row['uuid']} cannot be updated while node {row['node_uuid']} is "
                "being inspected."
            )
        if "node_uuid" in changed:
            _check_empty(session, row, "moved to another node")
            self.check_detached(row)
        super().check_change(call, session, row, changed)

    def check_remove(self, call: Call, session: Session, row: StoredRow) -> None:
        """A group that is in use stays."""
        super().check_remove(call, session, row)
        _check_empty(session, row, "deleted")
        self.check_detached(row)


def _check_empty(session: Session, row: StoredRow, done: str) -> None:
    count = PORTS.count(session, {"portgroup_uuid": row["uuid"]})
    if count:
        raise Invalid(
            f"Portgroup {row['uuid']} is not empty and cannot be {done}: it has {count} ports; "
            "take them out first."
        )


PORTGROUPS = Portgroups(TABLE, ROWS)
