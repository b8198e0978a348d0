"""The tables, as typed declarative classes. No queries and no rules live here.

Progress of work is in ``operations`` and ``steps``; what the ramdisk agent told
us is in ``agents``; what a machine boots is in ``boot_specs``. JSON columns hold
what a user or the hardware gave us, never our own bookkeeping.
"""

from __future__ import annotations

from drophammer.model.base import Base, JSONObject, LongText, UTCDateTime, new_uuid
from drophammer.model.node import (
    INTERFACES,
    BiosSetting,
    BootSpecRow,
    FirmwareComponent,
    Inventory,
    Node,
    NodeTrait,
)
from drophammer.model.nouns import Allocation, Chassis, DeployTemplate, InspectionRule, Runbook
from drophammer.model.parts import Port, Portgroup, VolumeConnector, VolumeTarget
from drophammer.model.work import Agent, Conductor, Event, HistoryEntry, Operation, Service, Step

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
    "LongText",
    "Node",
    "NodeTrait",
    "Operation",
    "Port",
    "Portgroup",
    "Runbook",
    "Service",
    "Step",
    "UTCDateTime",
    "VolumeConnector",
    "VolumeTarget",
    "new_uuid",
]
