"""What operators keep beside nodes: chassis, allocations, lists of steps, rules."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import String, false
from sqlalchemy.orm import Mapped, mapped_column

from drophammer.model.base import Base, JSONObject, LongText


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
    last_error: Mapped[str | None] = mapped_column(LongText)
    candidate_nodes: Mapped[list[Any]] = mapped_column(default=list)
    traits: Mapped[list[Any]] = mapped_column(default=list)
    extra: Mapped[JSONObject] = mapped_column(default=dict)
    owner: Mapped[str | None] = mapped_column(index=True)
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
    description: Mapped[str | None] = mapped_column(LongText)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    phase: Mapped[str] = mapped_column(String(16), default="main", server_default="main")
    sensitive: Mapped[bool] = mapped_column(default=False, server_default=false())
    conditions: Mapped[list[Any]] = mapped_column(default=list)
    actions: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]
