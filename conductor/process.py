"""One conductor, put together from its parts, started and stopped in the right order."""

from __future__ import annotations

import logging

from conductor.agentclient import AgentClient
from conductor.calls.endpoint import Endpoint
from conductor.drivers.registry import Drivers
from conductor.figures import Figures
from conductor.flows import Runner
from conductor.ipmi.pool import IpmiPool
from conductor.periodic import Periodic
from conductor.powersync import PowerSync
from conductor.presence import Presence
from conductor.settings import Settings
from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer import conductors
from drophammer.bus import Bus, Served
from drophammer.model import new_uuid
from drophammer.netns import Namespace
from drophammer.store import Holder, Store

LOG = logging.getLogger(__name__)
STOP_SECONDS = 2.0


class ConductorProcess:
    """Registers, serves the bus topic "conductor", works, and leaves without losing anything."""

    def __init__(self, settings: Settings, store: Store, bus: Bus) -> None:
        self._bus = bus
        namespace = Namespace(settings.network_namespace)
        self.box = Toolbox(
            settings=settings,
            store=store,
            bus=bus,
            holder=Holder(new_uuid(), settings.host),
            namespace=namespace,
            agents=AgentClient(namespace, settings.agent_timeout),
            ipmi=IpmiPool(workers=settings.ipmi_workers, request_deadline=settings.ipmi_deadline),
            drivers=Drivers.of(settings),
        )
        self._workers = Workers(settings.workers)
        self._runner = Runner(self._workers)
        self.service = Endpoint(self.box, self._workers, self._runner)
        self._presence = Presence(self.box)
        self.periodic = Periodic(self.box, self._runner, self._presence)
        self.power_sync = PowerSync(self.box, self.service.power)
        self._figures = Figures(self.box, self._workers)
        self._served: Served | None = None

    def start(self) -> None:
        """Register and take work."""
        host = self.box.settings.host
        self._presence.enter()
        self.periodic.start()
        self.power_sync.start()
        self._figures.start()
        # Last: a broker that is away keeps nobody from going on with what is begun.
        group = self.box.settings.conductor_group
        self._served = self._bus.serve(conductors.topic(group), self.service, host)
        LOG.info("conductor %s drives %s", host, ", ".join(self.box.drivers.types))

    def trouble(self) -> str:
        """Why this conductor is none to the others; empty when it is."""
        return self._presence.trouble()

    def stop(self) -> None:
        """Take no more work, end the running steps, give held nodes back for another to go on."""
        if self._served is not None:
            # First of all, so that no verb comes to somebody who is leaving.
            self._served.stop()
            self.periodic.stop()
            self.power_sync.stop()
        self._figures.stop()
        if not self._workers.stop(STOP_SECONDS):
            # Whoever takes these nodes up has a higher fence: what the threads that are
            # still in a call write afterwards is refused.
            LOG.warning("some work is still in a call to a machine; it is taken up again later")
        self._presence.leave()
        self.box.ipmi.close()
