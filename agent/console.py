"""Says each stage on the console, one line with the uptime, and keeps the lines.

The console of a machine is often all there is to see of a failed deploy. The
kept lines go into the logs that are handed to the conductor. Nothing secret may
be passed in here.
"""

from __future__ import annotations

import sys
from collections import deque

_KEPT_LINES: deque[str] = deque(maxlen=2000)


def say(text: str) -> None:
    """Write one line to the console; line breaks inside ``text`` are made visible."""
    line = f"[{uptime():9.2f}] agent: {text}".replace("\r", "\\r").replace("\n", "\\n")
    _KEPT_LINES.append(line)
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        # A serial line that is gone must not stop a deploy.
        pass


def kept_lines() -> str:
    """All lines said so far, as one text."""
    return "\n".join(_KEPT_LINES) + "\n"


def uptime() -> float:
    """Seconds since the machine's kernel started."""
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])
