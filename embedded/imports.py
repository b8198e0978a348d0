"""Imports of boot resources, put together from the configuration: for netboot and the command."""

from __future__ import annotations

from oslo_config import cfg

from drophammer.store import Store
from embedded.place import Place
from netboot.importing.calls import ResourceCalls
from netboot.importing.configured import sources_from
from netboot.importing.database import ImportRecords
from netboot.importing.run import Importer, Targets
from netboot.importing.timer import ImportTimer
from netboot.resources.settings import ResourceSettings


def importer(conf: cfg.ConfigOpts, store: Store, targets: Targets | None = None) -> Importer:
    """An importer of what the configuration names. Raises Invalid."""
    settings = ResourceSettings.from_conf(conf)
    records = ImportRecords(store)
    sources = sources_from(conf)
    return Importer(
        settings.resources(),
        lambda: sources,
        used=records.used,
        keep=settings.keep,
        targets=targets,
        clock=store.clock,
        tell=records.tell,
    )


class ResourceRole:
    """The boot resources of a netboot process: imported by the clock, answered for on the bus."""

    def __init__(self, place: Place, targets: Targets | None = None) -> None:
        made = importer(place.conf, place.store, targets)
        interval = ResourceSettings.from_conf(place.conf).import_interval
        self._timer = ImportTimer(made, interval)
        self.calls = ResourceCalls(made.resources, self._timer)

    def start(self) -> None:
        """Begin to import."""
        self._timer.start()

    def stop(self) -> None:
        """End an import that goes on; what machines boot stays whole."""
        self._timer.stop()
