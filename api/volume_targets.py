"""The resource ``/v1/volume/targets``: the remote volumes of nodes."""

from __future__ import annotations

from typing import Any

from api.fields import LINKS, OBJECT, TEXT, TIME, UUID, Field, Row, Table
from api.view import View
from api.volume import SINCE, VolumeResource
from drophammer import volumes
from drophammer.volume_targets import VOLUME_TARGETS as ROWS

_INDEX: dict[str, Any] = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}


def _links(row: Row, view: View) -> Any:
    return view.links("volume", "targets", row["uuid"])


# fmt: off
TABLE = Table(
    "volume target",
    "targets",
    [
        Field("uuid", SINCE, UUID, create=True, sort=True),
        Field("node_uuid", SINCE, UUID, create=True, patch=True),
        Field("volume_type", SINCE, {**TEXT, "maxLength": 64}, create=True, patch=True, sort=True),
        Field("volume_id", SINCE, TEXT, create=True, patch=True, sort=True),
        Field("boot_index", SINCE, _INDEX, create=True, patch=True, sort=True),
        # How to log in to the storage is among them.
        Field("properties", SINCE, OBJECT, create=True, patch=True, masked=True, default={}),
        Field("extra", SINCE, OBJECT, create=True, patch=True, default={}),
        Field("created_at", SINCE, TIME, sort=True),
        Field("updated_at", SINCE, TIME, sort=True),
        Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
    ],
    brief=("uuid", "node_uuid", "volume_type", "volume_id", "boot_index", "links"),
)
# fmt: on


class VolumeTargets(VolumeResource):
    """Targets."""

    required = ("node_uuid", "volume_type", "volume_id", "boot_index")

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """What a boot script would be made of is something that one can be made of."""
        values = super().normalised(values, version)
        if values.get("properties"):
            volumes.check_properties(values["properties"], "properties")
        return values


TARGETS = VolumeTargets(TABLE, ROWS, "volume/targets")
