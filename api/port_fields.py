"""The fields of a port: the table from which its part of the API follows."""

from __future__ import annotations

from typing import Any

from api.fields import (
    BOOLEAN,
    LINKS,
    LONG_TEXT,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    UUID,
    UUID_OR_NULL,
    Field,
    Row,
    Table,
)
from api.view import View

_CONNECTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "switch_id": TEXT,
        "port_id": TEXT,
        "switch_info": TEXT_OR_NULL,
        "network_type": {"enum": ["managed", "unmanaged"]},
        "hostname": TEXT,
        "ovn_vswitch": TEXT,
    },
    "additionalProperties": False,
}


def _links(row: Row, view: View) -> Any:
    return view.links("ports", row["uuid"])


# fmt: off
FIELDS: list[Field] = [
    Field("uuid", 1, UUID, create=True, sort=True),
    Field("address", 1, TEXT, create=True, patch=True, sort=True),
    Field("node_uuid", 1, UUID, create=True, patch=True),
    Field("extra", 1, OBJECT, create=True, patch=True, default={}),
    Field("created_at", 1, TIME, sort=True),
    Field("updated_at", 1, TIME, sort=True),
    Field("links", 1, LINKS, columns=("uuid",), show=_links),
    Field("internal_info", 18, OBJECT, masked=True),
    Field("local_link_connection", 19, _CONNECTION, create=True, patch=True, default={}),
    Field("pxe_enabled", 19, BOOLEAN, create=True, patch=True, sort=True, default=True),
    Field("portgroup_uuid", 24, UUID_OR_NULL, create=True, patch=True, sort=True),
    Field("physical_network", 34, {**TEXT_OR_NULL, "maxLength": 64},
          create=True, patch=True, sort=True),
    Field("is_smartnic", 53, BOOLEAN, create=True, patch=True, sort=True, default=False),
    Field("name", 88, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("description", 97, LONG_TEXT, create=True, patch=True, sort=True),
    Field("vendor", 100, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("category", 101, {**TEXT_OR_NULL, "maxLength": 80}, create=True, patch=True, sort=True),
    Field("available_for_dynamic_portgroup", 111, BOOLEAN,
          create=True, patch=True, sort=True, default=True),
]
# fmt: on

PORT = Table("port", "ports", FIELDS, brief=("uuid", "address", "links"))
