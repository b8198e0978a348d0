"""The node, and what is known of the machine itself."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from drophammer.model.base import Base, JSONObject, LongText, index_of_set

INTERFACES = (
    "bios",
    "boot",
    "console",
    "deploy",
    "firmware",
    "inspect",
    "management",
    "network",
    "power",
    "raid",
    "rescue",
    "storage",
    "vendor",
)


class Node(Base):
    """A machine: what the operator said of it, where it is in its life, who holds it.

    ``lease_*`` and ``fence`` are the reservation. ``fence`` grows with each new
    holder; a write under a lease names the fence it was given, so a holder that
    lost its lease writes nothing.
    """

    __tablename__ = "nodes"
    __table_args__ = (
        index_of_set("nodes", "fault"),
        index_of_set("nodes", "instance_name"),
        # Lists leave out children: an index of all would be taken for that, instead of
        # the one that finds what is asked for or has the order that is asked for.
        index_of_set("nodes", "parent_node"),
        # A state has a good part of all nodes: without it, they would be sorted for each page.
        Index("ix_nodes_provision_state_name", "provision_state", "name"),
        # So may a project have.
        Index("ix_nodes_owner_name", "owner", "name"),
        Index("ix_nodes_lessee_name", "lessee", "name"),
        # Without it sqlite gives the id of a deleted node to the next one, and a timer
        # entry that outlived its node would find somebody else's.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    driver: Mapped[str] = mapped_column(index=True)
    driver_info: Mapped[JSONObject] = mapped_column(default=dict)
    properties: Mapped[JSONObject] = mapped_column(default=dict)
    instance_info: Mapped[JSONObject] = mapped_column(default=dict)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    network_data: Mapped[JSONObject] = mapped_column(default=dict)
    raid_config: Mapped[JSONObject] = mapped_column(default=dict)
    target_raid_config: Mapped[JSONObject] = mapped_column(default=dict)
    instance_uuid: Mapped[str | None] = mapped_column(String(36), unique=True)
    instance_name: Mapped[str | None]
    power_state: Mapped[str | None] = mapped_column(String(15))
    target_power_state: Mapped[str | None] = mapped_column(String(15))
    provision_state: Mapped[str] = mapped_column(String(15), index=True)
    target_provision_state: Mapped[str | None] = mapped_column(String(15))
    provision_updated_at: Mapped[datetime.datetime | None]
    deadline: Mapped[datetime.datetime | None] = mapped_column(index=True)
    last_error: Mapped[str | None] = mapped_column(LongText)
    maintenance: Mapped[bool] = mapped_column(default=False, server_default=false())
    maintenance_reason: Mapped[str | None] = mapped_column(LongText)
    fault: Mapped[str | None]
    lease_owner: Mapped[str | None] = mapped_column(String(36), index=True)
    lease_host: Mapped[str | None]
    lease_purpose: Mapped[str | None]
    lease_since: Mapped[datetime.datetime | None]
    lease_expires: Mapped[datetime.datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    operation_id: Mapped[int | None] = mapped_column(index=True)
    clean_step: Mapped[JSONObject] = mapped_column(default=dict)
    deploy_step: Mapped[JSONObject] = mapped_column(default=dict)
    service_step: Mapped[JSONObject] = mapped_column(default=dict)
    console_enabled: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None] = mapped_column(index=True)
    inspection_started_at: Mapped[datetime.datetime | None]
    inspection_finished_at: Mapped[datetime.datetime | None]
    bios_interface: Mapped[str | None]
    boot_interface: Mapped[str | None]
    console_interface: Mapped[str | None]
    deploy_interface: Mapped[str | None]
    firmware_interface: Mapped[str | None]
    inspect_interface: Mapped[str | None]
    management_interface: Mapped[str | None]
    network_interface: Mapped[str | None]
    power_interface: Mapped[str | None]
    raid_interface: Mapped[str | None]
    rescue_interface: Mapped[str | None]
    storage_interface: Mapped[str | None]
    vendor_interface: Mapped[str | None]
    resource_class: Mapped[str | None] = mapped_column(String(80), index=True)
    conductor_group: Mapped[str] = mapped_column(default="", server_default="")
    automated_clean: Mapped[bool | None]
    protected: Mapped[bool] = mapped_column(default=False, server_default=false())
    protected_reason: Mapped[str | None] = mapped_column(LongText)
    owner: Mapped[str | None] = mapped_column(index=True)
    lessee: Mapped[str | None] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(LongText)
    retired: Mapped[bool] = mapped_column(default=False, server_default=false())
    retired_reason: Mapped[str | None] = mapped_column(LongText)
    boot_mode: Mapped[str | None] = mapped_column(String(16))
    secure_boot: Mapped[bool | None]
    shard: Mapped[str | None] = mapped_column(index=True)
    parent_node: Mapped[str | None] = mapped_column(String(36))
    disable_power_off: Mapped[bool] = mapped_column(default=False, server_default=false())
    health: Mapped[str | None] = mapped_column(String(32))
    chassis_uuid: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("chassis.uuid"), index=True
    )
    # The one place that says which allocation has which node.
    allocation_uuid: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("allocations.uuid"), index=True, unique=True
    )


class NodeTrait(Base):
    """Something that a node is or can, in the words of os-traits or CUSTOM_*."""

    __tablename__ = "node_traits"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    trait: Mapped[str] = mapped_column(primary_key=True, index=True)


class BiosSetting(Base):
    """A firmware setting of a node as it was last read, with what its registry says of it."""

    __tablename__ = "bios_settings"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(LongText)
    attribute_type: Mapped[str | None]
    allowable_values: Mapped[list[Any] | None] = mapped_column(JSON())
    lower_bound: Mapped[int | None] = mapped_column(BigInteger)
    upper_bound: Mapped[int | None] = mapped_column(BigInteger)
    min_length: Mapped[int | None]
    max_length: Mapped[int | None]
    read_only: Mapped[bool | None]
    reset_required: Mapped[bool | None]
    unique: Mapped[bool | None]
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class FirmwareComponent(Base):
    """A part of a node that has firmware of its own, and which versions it had and has."""

    __tablename__ = "firmware_components"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    component: Mapped[str] = mapped_column(primary_key=True)
    initial_version: Mapped[str]
    current_version: Mapped[str | None]
    last_version_flashed: Mapped[str | None]
    vendor: Mapped[str | None]
    model: Mapped[str | None]
    serial_number: Mapped[str | None]
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class Inventory(Base):
    """What inspection found, as the agent sent it."""

    __tablename__ = "inventories"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    inventory: Mapped[JSONObject] = mapped_column(default=dict)
    plugin_data: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]


class BootSpecRow(Base):
    """What a node's ports get when they boot from the network (see ``bootspec.py``)."""

    __tablename__ = "boot_specs"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    purpose: Mapped[str] = mapped_column(String(16))
    loader: Mapped[str] = mapped_column(String(16))
    kernel: Mapped[str] = mapped_column(LongText)
    ramdisk: Mapped[str] = mapped_column(LongText)
    root: Mapped[str | None] = mapped_column(LongText)
    parameters: Mapped[list[Any]] = mapped_column(default=list)
    key: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime.datetime]
