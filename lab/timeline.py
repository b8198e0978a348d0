"""What happened to a machine and when, drawn from the service's events and the serial console."""

from __future__ import annotations

import datetime
from typing import Any

# What a line of the timeline is called, and the first event (source, kind, words) that marks it.
_MARKS = (
    ("power on", "conductor", "power", ("is on",)),
    ("DHCP", "netboot", "dhcp", ("ACK",)),
    ("loader", "netboot", "", ("loader", "script", "config")),
    ("kernel", "netboot", "", ("kernel",)),
    ("ramdisk", "netboot", "", ("ramdisk",)),
    ("agent call-back", "agent", "", ("",)),
    ("write begins", "conductor", "step", ("write_image",)),
    ("image written", "conductor", "step", ("prepare_instance_boot",)),
    ("ramdisk off", "conductor", "power", ("is off",)),
    ("reboot", "conductor", "power", ("is on",)),
)


def deployment(events: list[dict[str, Any]], up_at: float) -> list[tuple[str, float]]:
    """(mark, seconds since the deployment began) of the last deployment in ``events``."""
    starts = [
        number
        for number, event in enumerate(events)
        if event["kind"] == "state" and event["data"].get("event") == "deploy"
    ]
    if not starts:
        return []
    begun = when(events[starts[-1]])
    marks = [("deploy asked", 0.0)]
    rest = events[starts[-1] :]
    for name, source, kind, words in _MARKS:
        for number, event in enumerate(rest):
            if _matches(event, source, kind, words):
                marks.append((name, when(event) - begun))
                rest = rest[number + 1 :]
                break
    marks.append(("system up", up_at - begun))
    return marks


def when(event: dict[str, Any]) -> float:
    """An event's moment in seconds since 1970."""
    return datetime.datetime.fromisoformat(event["at"]).timestamp()


def table(marks: list[tuple[str, float]]) -> list[str]:
    """The marks as lines: since the start, since the mark before, name."""
    lines = []
    before = 0.0
    for name, at in marks:
        lines.append(f"{at:7.1f} s  {f'+{at - before:.1f}':>6}  {name}")
        before = at
    return lines


def _matches(event: dict[str, Any], source: str, kind: str, words: tuple[str, ...]) -> bool:
    if event["source"] != source or (kind and event["kind"] != kind):
        return False
    text = f"{event['message']} {event['data'].get('stage', '')} {event['data'].get('step', '')}"
    return any(word in text for word in words)
