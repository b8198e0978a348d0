"""The tables, as typed declarative classes. No queries and no rules live here.

Progress of work is in ``operations`` and ``steps``; what the ramdisk agent told
us is in ``agents``; what a machine boots is in ``boot_specs``. JSON columns hold
what a user or the hardware gave us, never our own bookkeeping.
"""

from __future__ import annotations

import datetime
import uuid as uuid_module
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

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


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """An aware UTC datetime in Python, a naive UTC one in the database (sqlite has no zones)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is None:
            return None
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        return None if value is None else value.replace(tzinfo=datetime.UTC)


JSONObject = dict[str, Any]


class Base(DeclarativeBase):
    """Shared naming of constraints, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime.datetime: UTCDateTime(),
        JSONObject: JSON(),
        list[Any]: JSON(),
        str: String(255),
        bool: Boolean(),
    }


def new_uuid() -> str:
    """A random UUID as lower-case text."""
    return str(uuid_module.uuid4())


def _index_of_set(table: str, column: str) -> Index:
    """An index of the rows that have a value in a column that is mostly empty."""
    there = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_{column}", column, sqlite_where=there, postgresql_where=there)


class Node(Base):
    """A machine: what the operator said of it, where it is in its life, who holds it.

    ``lease_*`` and ``fence`` are the reservation. ``fence`` grows with each new
    holder; a write under a lease names the fence it was given, so a holder that
    lost its lease writes nothing.
    """

    __tablename__ = "nodes"
    __table_args__ = (
        _index_of_set("nodes", "fault"),
        _index_of_set("nodes", "instance_name"),
        # Lists leave out children: an index of all would be taken for that, instead of
        # the one that finds what is asked for or has the order that is asked for.
        _index_of_set("nodes", "parent_node"),
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
    last_error: Mapped[str | None] = mapped_column(Text)
    maintenance: Mapped[bool] = mapped_column(default=False, server_default=false())
    maintenance_reason: Mapped[str | None] = mapped_column(Text)
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
    protected_reason: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(index=True)
    lessee: Mapped[str | None] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(Text)
    retired: Mapped[bool] = mapped_column(default=False, server_default=false())
    retired_reason: Mapped[str | None] = mapped_column(Text)
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


class Chassis(Base):
    """An enclosure that holds nodes."""

    __tablename__ = "chassis"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    description: Mapped[str | None]
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class Allocation(Base):
    """A request for some node of a kind. Which node it got is in ``nodes.allocation_uuid``.

    ``state`` is allocating, active or error.
    """

    __tablename__ = "allocations"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    resource_class: Mapped[str | None] = mapped_column(String(80), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    last_error: Mapped[str | None] = mapped_column(Text)
    candidate_nodes: Mapped[list[Any]] = mapped_column(default=list)
    traits: Mapped[list[Any]] = mapped_column(default=list)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    owner: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


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
    description: Mapped[str | None] = mapped_column(Text)
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


class DeployTemplate(Base):
    """Deploy steps that a deployment gets whose instance asks for the trait ``name``."""

    __tablename__ = "deploy_templates"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    steps: Mapped[list[Any]] = mapped_column(default=list)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class Runbook(Base):
    """Steps for cleaning or servicing, by name, for nodes that have one of its traits."""

    __tablename__ = "runbooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    steps: Mapped[list[Any]] = mapped_column(default=list)
    traits: Mapped[list[Any]] = mapped_column(default=list)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    public: Mapped[bool] = mapped_column(default=False, server_default=false())
    owner: Mapped[str | None] = mapped_column(index=True)
    disable_ramdisk: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class InspectionRule(Base):
    """What to do with a node whose inspection found certain things."""

    __tablename__ = "inspection_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    phase: Mapped[str] = mapped_column(String(16), default="main", server_default="main")
    sensitive: Mapped[bool] = mapped_column(default=False, server_default=false())
    conditions: Mapped[list[Any]] = mapped_column(default=list)
    actions: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]


class BiosSetting(Base):
    """A firmware setting of a node as it was last read, with what its registry says of it."""

    __tablename__ = "bios_settings"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)
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


class HistoryEntry(Base):
    """One line of a node's history as the API's clients read it: how an operation ended."""

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_node_id_id", "node_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    created_at: Mapped[datetime.datetime]
    severity: Mapped[str] = mapped_column(String(16))
    event_type: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(Text)
    conductor: Mapped[str | None]
    user: Mapped[str | None]
    project: Mapped[str | None]
    state: Mapped[str | None] = mapped_column(String(15))
    target_provision_state: Mapped[str | None] = mapped_column(String(15))
    duration_seconds: Mapped[float | None]


class Operation(Base):
    """One piece of work on a node, from an operator's verb to its end.

    ``state`` is running, waiting, done, failed or aborted. ``flow`` names the
    list of steps, ``position`` the step that is due. Everything needed to go on
    after a crash is here and in ``steps``.
    """

    __tablename__ = "operations"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    verb: Mapped[str] = mapped_column(String(32))
    flow: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), index=True)
    position: Mapped[int] = mapped_column(default=0)
    request: Mapped[JSONObject] = mapped_column(default=dict)
    abort_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    progress_done: Mapped[int | None] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    progress_message: Mapped[str | None] = mapped_column(Text)
    progress_at: Mapped[datetime.datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]


class Step(Base):
    """One step of an operation: the journal.

    ``state`` is pending, running, done or failed. ``cursor`` is where a
    step that takes several visits has got to (its own words, e.g. the id of the
    agent command it waits for).
    """

    __tablename__ = "steps"
    __table_args__ = (Index("ix_steps_operation_position", "operation_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    operation_id: Mapped[int] = mapped_column(ForeignKey("operations.id", ondelete="CASCADE"))
    position: Mapped[int]
    interface: Mapped[str] = mapped_column(String(32))
    step: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(String(32))
    args: Mapped[JSONObject] = mapped_column(default=dict)
    abortable: Mapped[bool] = mapped_column(default=False, server_default=false())
    reboot_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    state: Mapped[str] = mapped_column(String(16))
    cursor: Mapped[JSONObject] = mapped_column(default=dict)
    result: Mapped[JSONObject] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]


class Agent(Base):
    """What is known of the ramdisk agent on a node. One row per node that ever had one.

    A row of its own, so that a heartbeat never waits for, nor disturbs, the
    holder of the node. ``beats`` counts heartbeats; a worker that is about to
    wait compares it, so that none falls between "send" and "wait".
    """

    __tablename__ = "agents"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    token: Mapped[str | None] = mapped_column(String(64))
    token_shown: Mapped[bool] = mapped_column(default=False, server_default=false())
    url: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str | None]
    certificate: Mapped[str | None] = mapped_column(Text)
    step_version: Mapped[JSONObject] = mapped_column(default=dict)
    beats: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    last_beat: Mapped[datetime.datetime | None]


class BootSpecRow(Base):
    """What a node's ports get when they boot from the network (see ``bootspec.py``)."""

    __tablename__ = "boot_specs"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    purpose: Mapped[str] = mapped_column(String(16))
    loader: Mapped[str] = mapped_column(String(16))
    kernel: Mapped[str] = mapped_column(Text)
    ramdisk: Mapped[str] = mapped_column(Text)
    parameters: Mapped[list[Any]] = mapped_column(default=list)
    key: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime.datetime]


class Inventory(Base):
    """What inspection found, as the agent sent it."""

    __tablename__ = "inventories"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    inventory: Mapped[JSONObject] = mapped_column(default=dict)
    plugin_data: Mapped[JSONObject] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime]


class Event(Base):
    """Something that happened to a node, as seen by one role. Only ever added to.

    ``source`` is api, conductor, netboot or agent; ``kind`` a short word (state,
    power, dhcp, tftp, http, heartbeat, error, ...).
    """

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_node_id_id", "node_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    at: Mapped[datetime.datetime]
    source: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[JSONObject] = mapped_column(default=dict)


class Conductor(Base):
    """A conductor process: who it is, what it can drive, when it was last seen."""

    __tablename__ = "conductors"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    hostname: Mapped[str] = mapped_column(unique=True)
    conductor_group: Mapped[str] = mapped_column(default="", server_default="")
    hardware_types: Mapped[JSONObject] = mapped_column(default=dict)
    online: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime]


__all__ = [
    "INTERFACES",
    "Agent",
    "Allocation",
    "Base",
    "BiosSetting",
    "BootSpecRow",
    "Chassis",
    "Conductor",
    "DeployTemplate",
    "Event",
    "FirmwareComponent",
    "HistoryEntry",
    "InspectionRule",
    "Inventory",
    "JSONObject",
    "Node",
    "NodeTrait",
    "Operation",
    "Port",
    "Portgroup",
    "Runbook",
    "Step",
    "UTCDateTime",
    "VolumeConnector",
    "VolumeTarget",
    "new_uuid",
]
