"""The resource ``/v1/volume/connectors``: how nodes name themselves to storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.call import Call
from api.fields import LINKS, OBJECT, TEXT, TIME, UUID, Field, Row, Table
from api.view import View
from api.volume import SINCE, VolumeResource
from drophammer import volumes
from drophammer.volume_connectors import VOLUME_CONNECTORS as ROWS


def _links(row: Row, view: View) -> Any:
    return view.links("volume", "connectors", row["uuid"])


# fmt: off
TABLE = Table(
    "volume connector",
    "connectors",
    [
        Field("uuid", SINCE, UUID, create=True, sort=True),
        Field("node_uuid", SINCE, UUID, create=True, patch=True),
        # What storage understands: iqn, ip, mac, wwnn, wwpn, port, portgroup and others.
        Field("type", SINCE, {**TEXT, "maxLength": 32}, create=True, patch=True, sort=True),
        Field("connector_id", SINCE, TEXT, create=True, patch=True, sort=True),
        Field("extra", SINCE, OBJECT, create=True, patch=True, default={}),
        Field("created_at", SINCE, TIME, sort=True),
        Field("updated_at", SINCE, TIME, sort=True),
        Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
    ],
    brief=("uuid", "node_uuid", "type", "connector_id", "links"),
)
# fmt: on


class VolumeConnectors(VolumeResource):
    """Connectors."""

    required = ("node_uuid", "type", "connector_id")

    def prepare(self, call: Call, session: Session, values: dict[str, Any]) -> dict[str, Any]:
        """The node; and a name that boot firmware can have."""
        _check_name(values)
        return super().prepare(call, session, values)

    def check_change(
        self, call: Call, session: Session, row: dict[str, Any], changed: dict[str, Any]
    ) -> None:
        """The same of what the connector becomes."""
        super().check_change(call, session, row, changed)
        if {"type", "connector_id"} & changed.keys():
            _check_name({**row, **changed})


def _check_name(values: Mapping[str, Any]) -> None:
    if values["type"] == volumes.IQN:
        volumes.iscsi_name(values["connector_id"], "connector_id")


CONNECTORS = VolumeConnectors(TABLE, ROWS, "volume/connectors")
