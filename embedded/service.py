"""``drophammer serve``: the roles that are switched on, in one process.

Start order is netboot, conductor, API, so that nobody is answered before there
is somebody to do the work; stop order is the reverse. What a role consists of is
loaded with it: a process that has one alone takes a third less memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from oslo_config import cfg

from api.server import ApiServer
from drophammer import notifications
from drophammer.bus import Bus, LocalBus, connect
from drophammer.bus_near import NearBus
from drophammer.errors import Invalid
from drophammer.health import Health
from drophammer.netns import Namespace
from drophammer.store import Store
from embedded.addresses import listener, split_address
from embedded.monitor import Monitor
from embedded.options import for_messaging, for_notifications
from embedded.place import Listening, Place
from embedded.statedir import database_url, lock_state_dir, make_state_dir

if TYPE_CHECKING:
    from embedded.apirole import ApiRole

MONITOR_THREADS = 2


class Embedded:
    """One process of Drophammer."""

    def __init__(self, conf: cfg.ConfigOpts, *, listen: str | None = None) -> None:
        if not (conf.serve.api or conf.serve.conductor or conf.serve.netboot):
            raise Invalid("Every role is switched off; there is nothing to run.")
        self._conf = conf
        self._api = _api(conf, listen) if conf.serve.api else None
        self._place: Place | None = None
        self._store: Store | None = None
        self._bus: Bus | None = None
        self._lock: IO[str] | None = None

    @property
    def listening(self) -> list[Listening]:
        """What is listening where."""
        return [] if self._place is None else self._place.listening

    def start(self) -> None:
        """Start everything, or nothing: what was started is stopped again when a part fails."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def reload(self, conf: cfg.ConfigOpts) -> None:
        """Take over what can be changed while it runs. Raises Invalid: then all is as it was."""
        for change in self._place.reloads if self._place else ():
            change(conf)

    def stop(self) -> None:
        """Stop taking requests, end what is under way, close."""
        while self._place is not None and self._place.started:
            self._place.started.pop().stop()
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self) -> None:
        place = self._place = self._made()
        if self._api is not None:
            self._api.open()
        try:
            self._start_roles(place)
        except BaseException:
            if self._api is not None:
                self._api.close()
            raise

    def _made(self) -> Place:
        """Store and bus."""
        conf = self._conf
        state_dir = Path(conf.state_dir)
        make_state_dir(state_dir)
        if not conf.database.connection:
            # One process per sqlite file: two would each take the other's work for lost.
            self._lock = lock_state_dir(state_dir)
        self._store = Store(
            database_url(conf),
            lease_seconds=conf.conductor.heartbeat_timeout,
        )
        self._store.migrate()
        bus = connect(
            conf.transport_url,
            for_messaging(conf),
            clock=self._store.clock,
            signing_key=conf.bus.signing_key,
        )
        self._bus = bus if isinstance(bus, LocalBus) else NearBus(bus, self._store.clock)
        for name in {conf.netboot.network_namespace, conf.conductor.network_namespace}:
            Namespace(name).check()
        return Place(conf, self._store, self._bus, Health(self._store, self._bus))

    def _start_roles(self, place: Place) -> None:
        conf = self._conf
        notifier = notifications.notifier(conf, for_notifications(conf))
        if notifier is not None:
            place.run(notifier)
        _start_monitor(place)
        if conf.serve.netboot:
            from embedded import netbootrole

            netbootrole.start(place)
        if conf.serve.conductor:
            from embedded import conductorrole

            conductorrole.start(place)
        if self._api is not None:
            self._api.start(place)


def _api(conf: cfg.ConfigOpts, listen: str | None) -> ApiRole:
    from embedded.apirole import ApiRole

    return ApiRole(conf, listen)


def _start_monitor(place: Place) -> None:
    address = place.conf.serve.monitor_listen
    if address:
        made = listener(Namespace(), split_address(address, "[serve] monitor_listen"))
        place.run(ApiServer(Monitor(place.health), [made], MONITOR_THREADS))
        place.say("monitor", f"http://{address}", "health and metrics")
