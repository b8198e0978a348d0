"""The conductor in a process."""

from __future__ import annotations

from conductor.process import ConductorProcess
from conductor.settings import Settings
from embedded.place import Place


def start(place: Place) -> None:
    """Begin to work."""
    settings = Settings.from_conf(place.conf)
    process = ConductorProcess(settings, place.store, place.bus)
    place.run(process)
    place.health.add("conductor", process.trouble)
    place.say("conductor", settings.host, ", ".join(settings.hardware_types))
