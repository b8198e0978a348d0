"""Network interfaces ``flat`` and ``noop``: one network for everything, nothing to switch.

``flat`` keeps which VIF a tenant wants on which port (in ``internal_info``, as clients
know it) for whoever configures that network; ``noop`` does not even that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor.drivers.base import Network
from drophammer.errors import Conflict, Invalid
from drophammer.model import Node, Port, Portgroup
from drophammer.vifs import TENANT

Place = Port | Portgroup


class NoopNetwork(Network):
    """Takes every VIF and remembers none."""

    def vifs(self, session: Session, node: Node) -> list[dict[str, Any]]:
        return []

    def attach_vif(self, session: Session, node: Node, info: Mapping[str, Any]) -> None:
        """There is nothing to attach to."""

    def detach_vif(self, session: Session, node: Node, vif: str) -> None:
        """There is nothing to detach from."""


class FlatNetwork(Network):
    """Every VIF has a port or a portgroup of its own."""

    def vifs(self, session: Session, node: Node) -> list[dict[str, Any]]:
        return [{"id": vif} for place in _places(session, node) if (vif := _vif(place))]

    def attach_vif(self, session: Session, node: Node, info: Mapping[str, Any]) -> None:
        places = _places(session, node)
        for place in places:
            if _vif(place) == info["id"]:
                raise Conflict(
                    f"VIF {info['id']} is already attached to the {_name(place)} of node "
                    f"{node.uuid}."
                )
        place = _chosen(node, places, info)
        self._write(place, {**place.internal_info, TENANT: info["id"]})

    def detach_vif(self, session: Session, node: Node, vif: str) -> None:
        for place in _places(session, node):
            if _vif(place) == vif:
                info = place.internal_info
                self._write(place, {key: info[key] for key in info if key != TENANT})
                return
        raise Invalid(f"VIF {vif[:255]} is not attached to node {node.uuid}.")

    def _write(self, place: Place, internal_info: dict[str, Any]) -> None:
        place.internal_info = internal_info
        place.updated_at = self.box.store.clock.now()


def _chosen(node: Node, places: Sequence[Place], info: Mapping[str, Any]) -> Place:
    """The asked port or portgroup, else the best free one."""
    port, group = info.get("port_uuid"), info.get("portgroup_uuid")
    if port and group:
        raise Invalid("port_uuid and portgroup_uuid cannot be used together.")
    if not port and not group:
        free = [place for place in places if not _vif(place) and _usable(place, places)]
        if not free:
            raise Invalid(f"Node {node.uuid} has no free port for VIF {info['id']}.")
        return min(free, key=_rank)
    kind: type[Place] = Port if port else Portgroup
    for place in places:
        if isinstance(place, kind) and place.uuid == (port or group):
            if _vif(place):
                raise Conflict(f"The {_name(place)} of node {node.uuid} has a VIF already.")
            return place
    raise Invalid(f"Node {node.uuid} has no {kind.__name__.lower()} {port or group}.")


def _usable(place: Place, places: Sequence[Place]) -> bool:
    """A port of a portgroup stands for itself only if the group says so."""
    if isinstance(place, Portgroup) or place.portgroup_uuid is None:
        return True
    group = next((one for one in places if one.uuid == place.portgroup_uuid), None)
    return isinstance(group, Portgroup) and group.standalone_ports_supported and not _vif(group)


def _rank(place: Place) -> tuple[bool, bool, int]:
    """Portgroups first, then ports that boot from the network, then by age."""
    port = isinstance(place, Port)
    return port, isinstance(place, Port) and not place.pxe_enabled, place.id


def _places(session: Session, node: Node) -> list[Place]:
    groups = select(Portgroup).where(Portgroup.node_id == node.id).order_by(Portgroup.id)
    ports = select(Port).where(Port.node_id == node.id).order_by(Port.id)
    return [*session.scalars(groups), *session.scalars(ports)]


def _vif(place: Place) -> str | None:
    vif: str | None = place.internal_info.get(TENANT)
    return vif


def _name(place: Place) -> str:
    if isinstance(place, Port):
        return f"port {place.address}"
    return f"portgroup {place.name or place.uuid}"
