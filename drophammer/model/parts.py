"""What a node consists of or is connected to: ports, groups of them, volumes."""

from __future__ import annotations

import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column

from drophammer.model.base import Base, JSONObject, LongText


class Port(Base):
    """A network interface of a node, named by its MAC address."""

    __tablename__ = "ports"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(18), unique=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    local_link_connection: Mapped[JSONObject] = mapped_column(default=dict)
    internal_info: Mapped[JSONObject] = mapped_column(default=dict)
    pxe_enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    physical_network: Mapped[str | None] = mapped_column(String(64))
    portgroup_uuid: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("portgroups.uuid", ondelete="SET NULL"), index=True
    )
    is_smartnic: Mapped[bool] = mapped_column(default=False, server_default=false())
    description: Mapped[str | None] = mapped_column(LongText)
    vendor: Mapped[str | None]
    category: Mapped[str | None] = mapped_column(String(80))
    available_for_dynamic_portgroup: Mapped[bool] = mapped_column(
        default=True, server_default=true()
    )
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class Portgroup(Base):
    """Several ports of a node that are bonded."""

    __tablename__ = "portgroups"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    address: Mapped[str | None] = mapped_column(String(18), unique=True)
    mode: Mapped[str] = mapped_column(default="active-backup", server_default="active-backup")
    properties: Mapped[JSONObject] = mapped_column(default=dict)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    internal_info: Mapped[JSONObject] = mapped_column(default=dict)
    standalone_ports_supported: Mapped[bool] = mapped_column(default=True, server_default=true())
    physical_network: Mapped[str | None] = mapped_column(String(64))
    category: Mapped[str | None] = mapped_column(String(80))
    dynamic_portgroup: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class VolumeConnector(Base):
    """How a node names itself to storage: an initiator (iqn, ip, mac, wwnn, wwpn)."""

    __tablename__ = "volume_connectors"
    __table_args__ = (UniqueConstraint("type", "connector_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(String(32))
    connector_id: Mapped[str]
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class VolumeTarget(Base):
    """A remote volume of a node; the one with ``boot_index`` 0 is booted from."""

    __tablename__ = "volume_targets"
    __table_args__ = (UniqueConstraint("node_id", "boot_index"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    volume_type: Mapped[str] = mapped_column(String(64))
    volume_id: Mapped[str]
    boot_index: Mapped[int]
    properties: Mapped[JSONObject] = mapped_column(default=dict)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]
