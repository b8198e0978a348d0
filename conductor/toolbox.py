"""What drivers and steps work with: one object, made at start, handed to all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conductor.agentclient import AgentClient
from conductor.settings import Settings
from drophammer.bus import Bus
from drophammer.netns import Namespace
from drophammer.store import Holder, Store

if TYPE_CHECKING:
    from conductor.drivers.registry import Drivers
    from conductor.ipmi.pool import IpmiPool


@dataclass(frozen=True)
class Toolbox:
    """Connections and settings of one conductor process."""

    settings: Settings
    store: Store
    bus: Bus
    holder: Holder
    namespace: Namespace
    agents: AgentClient
    ipmi: IpmiPool
    drivers: Drivers
